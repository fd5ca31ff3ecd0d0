"""Reading what was saved, with nothing taken on trust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.errors import SnapshotError

HUGE: Final = 1e12  # nothing that is learned comes near it


def table(held: object) -> dict[str, object]:
    """`held` as a dictionary with string keys."""
    if not isinstance(held, dict) or not all(isinstance(key, str) for key in held):
        raise SnapshotError(f"the snapshot holds {type(held).__name__} where a table was saved")
    return held


def part(held: object, key: str) -> object:
    """What `held` has under `key`."""
    try:
        return table(held)[key]
    except KeyError:
        raise SnapshotError(f"the snapshot lacks {key!r}") from None


def number(held: object, key: str) -> float:
    """A finite number under `key`."""
    value = part(held, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < HUGE:
        raise SnapshotError(f"{key!r} in the snapshot is no number, or one that cannot be")
    return float(value)


def share(held: object, key: str) -> float:
    """A number from 0 to 1 under `key`."""
    value = number(held, key)
    if not 0.0 <= value <= 1.0:
        raise SnapshotError(f"{key!r} in the snapshot is no share")
    return value


def array(held: object, key: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """Finite numbers of the given shape under `key`; -1 in the shape takes any length."""
    try:
        values = np.array(part(held, key), dtype=np.float64)
    except (TypeError, ValueError):
        raise SnapshotError(f"{key!r} in the snapshot does not hold numbers only") from None
    if values.size == 0 and -1 in shape:
        values = values.reshape([max(0, length) for length in shape])
    fits = len(values.shape) == len(shape) and all(
        want in (-1, have) for have, want in zip(values.shape, shape, strict=True)
    )
    if not fits:
        raise SnapshotError(f"{key!r} in the snapshot has shape {values.shape}, not {tuple(shape)}")
    if not (np.abs(values) < HUGE).all():
        raise SnapshotError(f"{key!r} in the snapshot holds numbers that cannot be")
    return values
