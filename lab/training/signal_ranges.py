"""The signal ranges of drawn scenes, by which the agent recognises a picture that is none.

Half of the scenes of each kind determine its mean and covariance, the other half the limit of the distance.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.answering.drawn_scenes import MEASURES, DrawnScenes, measures
from agent.messages import images
from agent.messages.query import BadQuery
from controller import ImageSignals, SignalsError, image_signals
from lab.scenes.render import SIZE, render
from lab.scenes.scene import FAULTS, draw

ALARM_SHARE = 0.004
SIZES = (SIZE // 2, SIZE, 2 * SIZE)
FORMS: tuple[tuple[str, dict[str, int]], ...] = (
    ("PNG", {"compress_level": 1}),  # fast; the pixels are the same
    *(("JPEG", {"quality": quality}) for quality in (75, 85, 92)),
)
RIDGE = 1e-4  # of variances, so that a constant measure can be inverted
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
DIGITS = 5


def fit(split: int, count: int) -> dict[str, object]:
    """Returns the content of `drawn-scenes.json`, from `count` scenes of a split for each kind."""
    kinds: dict[str, object] = {}
    held: list[ImageSignals] = []
    for fault in FAULTS:
        by_size = list(scene_signals(split, count, fault))
        # Half of all scenes have no fault.
        weighed = count // 2 // (1 if fault == "none" else len(FAULTS) - 1)
        for size, seen in zip(SIZES, zip(*by_size, strict=True), strict=True):
            kinds[f"{fault} {size}"] = _ellipsoid(np.array([measures(each) for each in seen[: count // 2]]))
            held += seen[count // 2 :][:weighed]
    unlimited = DrawnScenes.from_json({"kinds": kinds, "limit": np.inf})
    distances = [unlimited.distance(signals) for signals in held]
    limit = math.ceil(10 * np.quantile(distances, 1 - ALARM_SHARE)) / 10
    return {"measures": MEASURES, "alarm_share": ALARM_SHARE, "limit": limit, "kinds": kinds}


def write(content: dict[str, object], path: Path) -> None:
    """Writes it as JSON, one kind in a line."""
    kinds = content["kinds"]
    assert isinstance(kinds, dict), "as `fit` returns it"
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(kind)}" for name, kind in kinds.items())
    head = {name: value for name, value in content.items() if name != "kinds"}
    path.write_text(json.dumps(head, indent=2)[:-2] + f',\n  "kinds": {{\n{lines}\n  }}\n}}\n')


def scene_signals(split: int, count: int, fault: str | None = None) -> Iterator[tuple[ImageSignals, ...]]:
    """Yields the signals of scenes in each of SIZES, as PNG and as JPEG of several qualities in turn."""
    for index in range(count):
        image = render(draw(np.random.default_rng([split, index]), fault=fault))
        form, options = FORMS[index % len(FORMS)]
        yield tuple(image_signals(_encoded(image, size, form, options)) for size in SIZES)


def _encoded(image: Image.Image, size: int, form: str, options: dict[str, int]) -> bytes:
    file = io.BytesIO()
    image.resize((size, size), Image.Resampling.BICUBIC).save(file, form, **options)
    return file.getvalue()


def picture_signals(folder: Path) -> Iterator[tuple[Path, ImageSignals]]:
    """Yields the signals of the pictures in a folder and below it that can be read."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        try:
            yield path, image_signals(images.normalise(path.read_bytes()))
        except (BadQuery, SignalsError, Image.DecompressionBombError):
            continue


def _ellipsoid(values: NDArray[np.float64]) -> dict[str, object]:
    covariance = np.cov(values.T) + RIDGE * np.eye(len(MEASURES))
    scaling = np.linalg.inv(np.linalg.cholesky(covariance))
    return {"mean": values.mean(axis=0).round(DIGITS).tolist(), "scaling": scaling.round(DIGITS).tolist()}
