"""A trace: what every arm did on every question, in one gzipped CSV file.

One line per question. The columns, empty where nothing is known:

    id                    names the question
    group                 questions that share one belong together, as those about one image do: never split
                          a group between fitting and testing
    type                  kind of question, such as "counting"; may be empty
    question, truth       as asked, and the right answer; several right answers are separated by "|"
    looks                 names under which image and question may be met again, of controller.looks.SORTS,
                          in hexadecimal digits with blanks between; empty, or no column, where not recorded
    signal.<name>         for each of controller.signals.FEATURES, in [-1, 1], of the image as it was taken
                          and of the question

and for each arm, named `local/MODEL@RESOLUTION` or `cloud/MODEL@RESOLUTION`:

    <arm>.answer          as the model gave it
    <arm>.correct         1 or 0, by lab.trace.scoring
    <arm>.margin          p(best) - p(second) of the first answer token, in [0, 1]
    <arm>.mean_logprob    mean log-probability of the answer's tokens, in nats
    <arm>.tokens          number of tokens in the answer
    <arm>.latency_ms      the call as its caller saw it, over whatever link it was recorded with
    <arm>.compute_ms      the server's own share of that; add a link to it to simulate one
    <arm>.energy_j        what the board spent above idle
    <arm>.energy_source   "measured" or "modelled" (a profile's power times the times above)
    <arm>.payload_bytes   size of the encoded image that was sent

Numbers have six significant digits. An arm without `latency_ms` on a line was not run on that question.
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
from controller.arm import Arm, Tier
from controller.looks import SORTS, Looks
from controller.signals import FEATURES
from lab.errors import TraceError

QUESTION_COLUMNS = ("id", "group", "type", "question", "truth")
LOOKS_COLUMN = "looks"
SIGNAL_COLUMNS = tuple(f"signal.{name}" for name in FEATURES)
RUN_COLUMNS = (
    "answer",
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
    """What one arm did on one question; the fields are the columns of the same names."""

    answer: str
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
    """Questions, and for each arm by its name what it did on each, None where it was not run."""

    questions: tuple[TracedQuestion, ...]
    runs: Mapping[str, tuple[Run | None, ...]]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms, each on a server named after its tier."""
        return tuple(arm_named(name) for name in self.runs)

    def signals(self) -> NDArray[np.float64]:
        """Of all questions, shape (questions, len(FEATURES))."""
        return np.array([question.signals for question in self.questions]).reshape(-1, len(FEATURES))


def arm_named(name: str) -> Arm:
    """The arm that a trace calls `name`. Raises TraceError for another form.

    >>> arm_named("local/owner/model@384").resolution
    384
    """
    tier, _, rest = name.partition("/")
    model, _, resolution = rest.rpartition("@")
    if tier not in ("local", "cloud") or not model or not resolution.isdigit():
        raise TraceError(f"{name!r} names no arm; write local/MODEL@RESOLUTION or cloud/MODEL@RESOLUTION")
    known: Tier = "local" if tier == "local" else "cloud"
    return Arm(known, model, int(resolution), server=tier)


def merged(parts: Sequence[Trace]) -> Trace:
    """One trace of all arms. Raises TraceError unless questions are the same and arms different."""
    runs: dict[str, tuple[Run | None, ...]] = {}
    for part in parts:
        if part.questions != parts[0].questions:
            raise TraceError("these traces are not of the same questions; record the same set for all")
        for arm in part.runs:
            if arm in runs:
                raise TraceError(f"two traces have {arm}; record one of them under another name")
        runs |= part.runs
    return Trace(parts[0].questions, runs)


def write(path: Path, trace: Trace) -> None:
    """Write `trace` to `path`, all of it or nothing; the same trace always gives the same bytes."""
    columns = [*QUESTION_COLUMNS, LOOKS_COLUMN, *SIGNAL_COLUMNS]
    columns += [f"{arm}.{column}" for arm in trace.runs for column in RUN_COLUMNS]
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with (
            beside.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
        ):
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(columns)
            for number, question in enumerate(trace.questions):
                told = [question.id, question.group, question.type, question.question, question.truth]
                told.append(" ".join(question.looks))
                told += [f"{signal:.6g}" for signal in question.signals]
                for runs in trace.runs.values():
                    told += _written(runs[number])
                rows.writerow(told)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> Trace:
    """Read a trace. Raises TraceError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
            rows = csv.DictReader(text)
            columns = rows.fieldnames or ()
            arms = _arms(path, columns)
            questions, runs = [], {arm: list[Run | None]() for arm in arms}
            for row in rows:
                line = _Line(f"{path}, line {rows.line_num}", row)
                questions.append(line.question())
                for arm, kept in runs.items():
                    kept.append(line.run(arm))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path} is no whole trace ({error}); record it again") from error
    return Trace(tuple(questions), {arm: tuple(kept) for arm, kept in runs.items()})


def _arms(path: Path, columns: Sequence[str]) -> list[str]:
    """Names of the arms that `columns` are about, in their order."""
    arms = list(dict.fromkeys(c.rpartition(".")[0] for c in columns if c.startswith(("local/", "cloud/"))))
    for arm in arms:
        arm_named(arm)
    wanted = [
        *QUESTION_COLUMNS,
        *SIGNAL_COLUMNS,
        *(f"{arm}.{column}" for arm in arms for column in RUN_COLUMNS),
    ]
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise TraceError(
            f"{path} lacks the columns {', '.join(missing[:5])}: was it recorded by another version?"
        )
    return arms


def _written(run: Run | None) -> Iterator[str]:
    for column in RUN_COLUMNS:
        value = getattr(run, column, None)
        if isinstance(value, bool):
            value = int(value)
        yield "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


class _Line:
    """One line of a file, whose cells are read with their place in the message when they cannot be."""

    def __init__(self, place: str, cells: Mapping[str, str | None]) -> None:
        self._place = place
        self._cells = cells

    def question(self) -> TracedQuestion:
        told = {column: self._text(column) for column in QUESTION_COLUMNS}
        signals = np.array([self._known(column) for column in SIGNAL_COLUMNS])
        return TracedQuestion(**told, signals=signals, looks=self._looks())

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
            answer=self._text(f"{arm}.answer"),
            correct=correct == "1",
            margin=self._number(f"{arm}.margin"),
            mean_logprob=self._number(f"{arm}.mean_logprob"),
            tokens=None if tokens is None else int(tokens),
            latency_ms=self._known(f"{arm}.latency_ms"),
            compute_ms=self._number(f"{arm}.compute_ms"),
            energy_j=self._known(f"{arm}.energy_j"),
            energy_source="measured" if source == "measured" else "modelled",
            payload_bytes=int(self._known(f"{arm}.payload_bytes")),
        )

    def _looks(self) -> Looks:
        looks = tuple((self._cells.get(LOOKS_COLUMN) or "").split())
        if looks and len(looks) != len(SORTS):
            raise self._wrong(LOOKS_COLUMN, f"{len(SORTS)} names or none")
        return looks

    def _text(self, column: str) -> str:
        cell = self._cells[column]
        if cell is None:
            raise self._wrong(column, "there")
        return cell

    def _number(self, column: str) -> float | None:
        return self._known(column) if self._text(column) else None

    def _known(self, column: str) -> float:
        try:
            number = float(self._text(column))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._wrong(column, "a number")
        return number

    def _wrong(self, column: str, wanted: str) -> TraceError:
        return TraceError(f"{self._place}: {column} must be {wanted}, not {self._cells[column]!r}")
