"""Reads a folder of outcomes as a trace.

The folder contains `outcomes.csv` (columns `task`, `question`, `image`, and one column per model: 1 if its
answer was right, else 0) and `images/`. Only outcomes are known: no answer, confidence, latency or energy. So
a right answer is recorded as "right", and a wrong answer as a text that contains the model's name. Two models
that are both wrong then disagree, which is the harder case for a router that learns from disagreement.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from controller import Signals, SignalsError, image_signals, text_signals
from lab.errors import TraceError
from lab.trace.trace import Run, Trace, TracedQuestion

COLUMNS: Final = ("task", "question", "image")
HASH_SIDE: Final = 16


def models_of(folder: Path) -> list[str]:
    """Returns the models of a folder. Raises TraceError."""
    return [column for column in _rows(folder / "outcomes.csv", COLUMNS)[0] if column not in COLUMNS]


def read_outcomes(
    folder: Path, weak: str, strong: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> Trace:
    """Reads the outcomes of `weak` as the board's arm and of `strong` as the cloud's.

    Signals are computed from the images. Questions whose images look the same at any size are one group.

    Args:
        progress: called with the number of questions read and their total number.

    Raises:
        TraceError: a file or a column is missing, or an image cannot be read.
    """
    rows = _rows(folder / "outcomes.csv", (*COLUMNS, weak, strong))
    images: dict[str, tuple[bytes, str]] = {}
    questions, runs = [], {f"local/{weak}@0": list[Run | None](), f"cloud/{strong}@0": list[Run | None]()}
    for number, row in enumerate(rows):
        name = row["image"]
        if name not in images:
            images[name] = _image(folder / "images" / name)
        data, image_hash = images[name]
        try:
            signals = Signals(image_signals(data), text_signals(row["question"]))
        except SignalsError as error:
            raise TraceError(f"{folder / 'images' / name}: {error}") from error
        questions.append(
            TracedQuestion(
                id=f"{number}",
                group=f"{row['task']} {image_hash}",
                type=row["task"],
                question=row["question"],
                truth="right",
                signals=signals.vector(),
                looks=signals.looks,
            )
        )
        for arm_runs, model in zip(runs.values(), (weak, strong), strict=True):
            arm_runs.append(outcome_run(row[model] == "1", model, payload_bytes=len(data)))
        progress(number + 1, len(rows))
    return Trace(tuple(questions), {arm: tuple(arm_runs) for arm, arm_runs in runs.items()})


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
    except OSError as error:
        raise TraceError(
            f"{path} cannot be read ({error.strerror}); give the folder that contains it"
        ) from error
    missing = [column for column in columns if rows and column not in rows[0]]
    if missing or not rows:
        raise TraceError(f"{path} lacks {', '.join(missing) or 'any question'}")
    return rows


def _image(path: Path) -> tuple[bytes, str]:
    """Returns an image, and a hash of its appearance that does not depend on its size."""
    try:
        data = path.read_bytes()
        with Image.open(BytesIO(data)) as image:
            grey = np.asarray(image.convert("L").resize((HASH_SIDE, HASH_SIDE)), dtype=np.float64)
    except OSError as error:
        raise TraceError(f"{path} cannot be read as an image ({error})") from error
    return data, np.packbits(grey > grey.mean()).tobytes().hex()


def outcome_run(right: bool, model: str, *, payload_bytes: int, compute_ms: float | None = None) -> Run:
    """Returns a run of which only the outcome is known, and perhaps how much it computes."""
    return Run(
        answer="right" if right else f"wrong by {model}",
        correct=right,
        margin=None,
        mean_logprob=None,
        tokens=None,
        latency_ms=1.0,  # unknown; a cost profile replaces it
        compute_ms=compute_ms,
        energy_j=0.0,
        energy_source="modelled",
        payload_bytes=payload_bytes,
    )
