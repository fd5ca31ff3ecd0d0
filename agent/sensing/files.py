"""Reading the small files under /sys and /proc, any of which may be missing, empty or refuse to be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def text(path: Path) -> str | None:
    """The content of `path` without its ends; None when it cannot be read (missing, EIO, ENODATA, EACCES)."""
    try:
        return path.read_text(errors="replace").strip("\0 \t\r\n")
    except OSError:
        return None


def number(path: Path) -> float | None:
    """The number that `path` holds; None when it holds none."""
    try:
        return float(text(path) or "")
    except ValueError:
        return None


def folders(parent: Path, pattern: str) -> Iterator[Path]:
    """Folders in `parent` whose names fit `pattern`, in the order of their names; none when there is none."""
    try:
        yield from sorted(path for path in parent.glob(pattern) if path.is_dir())
    except OSError:
        return


def ratio(part: float | None, whole: float | None) -> float | None:
    """`part` / `whole` held within 0 to 1; None when either is missing."""
    if part is None or not whole:
        return None
    return min(1.0, max(0.0, part / whole))
