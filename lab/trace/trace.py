"""A trace: the results of every arm on every question, in one gzipped CSV file.

One line per question. The columns, empty if unknown:

    id                    names the question
    group                 questions with the same group belong together, such as those about one image;
                          never split a group between fitting and testing
    type                  kind of question, such as "counting"; may be empty
    question, truth       the question as asked, and the right answer; several are separated by "|"
    looks                 keys under which the image and the question are recognised again, one for each of
                          controller.looks.SORTS, hexadecimal, separated by spaces; empty or absent if not
                          recorded
    signal.<name>         for each of controller.signals.FEATURES, in [-1, 1], of the original image and of
                          the question

and for each arm, named `local/MODEL@RESOLUTION` or `cloud/MODEL@RESOLUTION`:

    <arm>.answer          the model's whole text, unchanged; the column is absent if no text was recorded
    <arm>.correct         1 or 0, by lab.trace.scoring
    <arm>.margin          p(best) - p(second) of the first answer token, in [0, 1]
    <arm>.mean_logprob    mean log-probability of the answer's tokens, in nats
    <arm>.tokens          number of tokens in the answer
    <arm>.latency_ms      duration of the call, including the link over which it was recorded
    <arm>.compute_ms      the server's own part of it; add the times of a link to simulate one
    <arm>.energy_j        energy of the board above idle
    <arm>.energy_source   "measured" or "modelled" (a profile's power multiplied by the times above)
    <arm>.payload_bytes   size of the encoded image that was sent

Numbers have six significant digits. If `latency_ms` is empty, the arm was not run on that question.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.sensing.energy_model import EnergySource
from controller import FEATURES, Arm, Tier
from controller.looks import SORTS, Looks
from lab.errors import TraceError

QUESTION_COLUMNS = ("id", "group", "type", "question", "truth")
LOOKS_COLUMN = "looks"
SIGNAL_COLUMNS = tuple(f"signal.{name}" for name in FEATURES)
ANSWER_COLUMN = "answer"
RUN_COLUMNS = (
    ANSWER_COLUMN,
    "correct",
    "margin",
    "mean_logprob",
    "tokens",
    "latency_ms",
    "compute_ms",
    "energy_j",
    "energy_source",
    "payload_bytes",
)
MAX_CELL = 2**31 - 1  # csv rejects cells of more than 131,072 characters by default


@dataclass(frozen=True)
class TracedQuestion:
    """A question; `signals` has shape (len(FEATURES),), each within [-1, 1]."""

    id: str
    group: str
    type: str
    question: str
    truth: str
    signals: NDArray[np.float64] = field(compare=False)
    looks: Looks = ()


@dataclass(frozen=True)
class Run:
    """The result of one arm on one question; the fields are the columns of the same names.

    Attributes:
        answer: the model's whole text; None if the trace has no texts.
    """

    answer: str | None
    correct: bool
    margin: float | None
    mean_logprob: float | None
    tokens: int | None
    latency_ms: float
    compute_ms: float | None
    energy_j: float
    energy_source: EnergySource
    payload_bytes: int


@dataclass(frozen=True)
class Trace:
    """Questions, and for each arm by its name its run on each question; None if it was not run."""

    questions: tuple[TracedQuestion, ...]
    runs: Mapping[str, tuple[Run | None, ...]]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms; each arm's server is named after its tier."""
        return tuple(parse_arm(name) for name in self.runs)

    def signals(self) -> NDArray[np.float64]:
        """Returns the signals of all questions, shape (questions, len(FEATURES))."""
        return np.array([question.signals for question in self.questions]).reshape(-1, len(FEATURES))


def parse_arm(name: str) -> Arm:
    """Parses the name of an arm in a trace. Raises TraceError.

    >>> parse_arm("local/owner/model@384").resolution
    384
    """
    tier, _, rest = name.partition("/")
    model, _, resolution = rest.rpartition("@")
    if tier not in ("local", "cloud") or not model or not resolution.isdigit():
        raise TraceError(f"{name!r} is not an arm; write local/MODEL@RESOLUTION or cloud/MODEL@RESOLUTION")
    arm_tier: Tier = "local" if tier == "local" else "cloud"
    return Arm(arm_tier, model, int(resolution), server=tier)


def merge_traces(parts: Sequence[Trace]) -> Trace:
    """Merges traces into one. Raises TraceError unless they have the same questions and different arms."""
    runs: dict[str, tuple[Run | None, ...]] = {}
    for part in parts:
        if part.questions != parts[0].questions:
            raise TraceError(
                "the traces do not have the same questions; record the same set of questions for all"
            )
        for arm in part.runs:
            if arm in runs:
                raise TraceError(f"two traces contain {arm}; record one of them under another name")
        runs |= part.runs
    return Trace(parts[0].questions, runs)


def write_trace(path: Path, trace: Trace) -> None:
    """Writes `trace` to `path` atomically; the same trace always gives the same bytes."""
    columns = [*QUESTION_COLUMNS, LOOKS_COLUMN, *SIGNAL_COLUMNS]
    recorded = {arm: _recorded_columns(runs) for arm, runs in trace.runs.items()}
    columns += [f"{arm}.{column}" for arm, names in recorded.items() for column in names]
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with (
            partial.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
        ):
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(columns)
            for number, question in enumerate(trace.questions):
                cells = [question.id, question.group, question.type, question.question, question.truth]
                cells.append(" ".join(question.looks))
                cells += [f"{signal:.6g}" for signal in question.signals]
                for arm, runs in trace.runs.items():
                    cells += _cells(runs[number], recorded[arm])
                rows.writerow(cells)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_trace(path: Path) -> Trace:
    """Reads a trace. Raises TraceError."""
    csv.field_size_limit(MAX_CELL)
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
            rows = csv.DictReader(text)
            columns = rows.fieldnames or ()
            arms = _arms(path, columns)
            questions, runs = [], {arm: list[Run | None]() for arm in arms}
            for row in rows:
                line = _Line(f"{path}, line {rows.line_num}", row)
                questions.append(line.question())
                for arm, arm_runs in runs.items():
                    arm_runs.append(line.run(arm))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path} is not a complete trace ({error}); record it again") from error
    return Trace(tuple(questions), {arm: tuple(arm_runs) for arm, arm_runs in runs.items()})


def _arms(path: Path, columns: Sequence[str]) -> list[str]:
    """Returns the names of the arms in `columns`, in order."""
    arms = list(dict.fromkeys(c.rpartition(".")[0] for c in columns if c.startswith(("local/", "cloud/"))))
    for arm in arms:
        parse_arm(arm)
    required = [
        *QUESTION_COLUMNS,
        *SIGNAL_COLUMNS,
        *(f"{arm}.{column}" for arm in arms for column in RUN_COLUMNS if column != ANSWER_COLUMN),
    ]
    missing = [column for column in required if column not in columns]
    if missing:
        raise TraceError(
            f"{path} lacks the columns {', '.join(missing[:5])}: was it recorded by another version?"
        )
    return arms


def _recorded_columns(runs: Sequence[Run | None]) -> tuple[str, ...]:
    """Returns the columns of an arm, without that of the texts if none was recorded."""
    without_texts = any(run is not None and run.answer is None for run in runs)
    return tuple(column for column in RUN_COLUMNS if not (without_texts and column == ANSWER_COLUMN))


def _cells(run: Run | None, columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        value = getattr(run, column, None)
        if isinstance(value, bool):
            value = int(value)
        yield "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


class _Line:
    """One line of a file; if a cell is invalid, the error names the line and the column."""

    def __init__(self, place: str, cells: Mapping[str, str | None]) -> None:
        self._place = place
        self._cells = cells

    def question(self) -> TracedQuestion:
        texts = {column: self._text(column) for column in QUESTION_COLUMNS}
        signals = np.array([self._required_number(column) for column in SIGNAL_COLUMNS])
        return TracedQuestion(**texts, signals=signals, looks=self._looks())

    def run(self, arm: str) -> Run | None:
        if not self._text(f"{arm}.latency_ms"):
            return None
        correct, source = self._text(f"{arm}.correct"), self._text(f"{arm}.energy_source")
        if correct not in ("0", "1"):
            raise self._wrong(f"{arm}.correct", "0 or 1")
        if source not in ("measured", "modelled"):
            raise self._wrong(f"{arm}.energy_source", '"measured" or "modelled"')
        tokens = self._number(f"{arm}.tokens")
        return Run(
            answer=self._text(answer) if (answer := f"{arm}.{ANSWER_COLUMN}") in self._cells else None,
            correct=correct == "1",
            margin=self._number(f"{arm}.margin"),
            mean_logprob=self._number(f"{arm}.mean_logprob"),
            tokens=None if tokens is None else int(tokens),
            latency_ms=self._required_number(f"{arm}.latency_ms"),
            compute_ms=self._number(f"{arm}.compute_ms"),
            energy_j=self._required_number(f"{arm}.energy_j"),
            energy_source="measured" if source == "measured" else "modelled",
            payload_bytes=int(self._required_number(f"{arm}.payload_bytes")),
        )

    def _looks(self) -> Looks:
        looks = tuple((self._cells.get(LOOKS_COLUMN) or "").split())
        if looks and len(looks) != len(SORTS):
            raise self._wrong(LOOKS_COLUMN, f"{len(SORTS)} keys or none")
        return looks

    def _text(self, column: str) -> str:
        cell = self._cells[column]
        if cell is None:
            raise self._wrong(column, "present")
        return cell

    def _number(self, column: str) -> float | None:
        return self._required_number(column) if self._text(column) else None

    def _required_number(self, column: str) -> float:
        try:
            number = float(self._text(column))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._wrong(column, "a number")
        return number

    def _wrong(self, column: str, expected: str) -> TraceError:
        return TraceError(f"{self._place}: {column} must be {expected}, not {self._cells[column]!r}")
