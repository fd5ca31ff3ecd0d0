"""Reads the small files under /sys and /proc, which may be missing, empty or unreadable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def text(path: Path) -> str | None:
    """Returns the stripped content of `path`; None if it is unreadable (missing, EIO, ENODATA, EACCES)."""
    try:
        return path.read_text(errors="replace").strip("\0 \t\r\n")
    except OSError:
        return None


def number(path: Path) -> float | None:
    """Returns the number in `path`; None if it contains none."""
    try:
        return float(text(path) or "")
    except ValueError:
        return None


def folders(parent: Path, pattern: str) -> Iterator[Path]:
    """Yields the folders in `parent` whose names match `pattern`, sorted by name."""
    try:
        yield from sorted(path for path in parent.glob(pattern) if path.is_dir())
    except OSError:
        return


def ratio(part: float | None, whole: float | None) -> float | None:
    """Returns `part` / `whole`, limited to 0 to 1; None if either is missing."""
    if part is None or not whole:
        return None
    return min(1.0, max(0.0, part / whole))
