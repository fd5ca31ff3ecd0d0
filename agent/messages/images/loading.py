"""Loads the images of a query."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from agent.messages.query import BadQuery, Query


def load(query: Query, roots: Sequence[Path], max_bytes: int) -> tuple[bytes, ...]:
    """Returns the encoded images of `query`, read from a file where it names one.

    Args:
        roots: folders from which files may be read.
        max_bytes: size limit of all images together.

    Raises:
        BadQuery: a file is outside the roots, not a regular one, cannot be read, or the images are too large.
    """
    loaded: list[bytes] = []
    for source in query.sources:
        if isinstance(source, Path):
            loaded.append(read_image(source, roots, max_bytes - sum(map(len, loaded))))
        else:
            loaded.append(source)
    return tuple(loaded)


def read_image(file: Path, roots: Sequence[Path], max_bytes: int, name: str = "image_url") -> bytes:
    """Returns the content of an image file.

    Args:
        name: what names the file, for the errors.

    Raises:
        BadQuery: it is outside the roots, not a regular file, too large, or cannot be read.
    """
    try:
        path = file.resolve()
    except (OSError, ValueError, RuntimeError):  # such as a NUL character, or symbolic links in a circle
        raise BadQuery("bad_image", f"{name} is not a valid path: check it") from None
    _check_root(path, roots, name)
    try:
        # Opening a FIFO would wait for a writer. The path may have become a link after it was resolved.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _check_root(Path(f"/proc/self/fd/{opened}").resolve(), roots, name)
            return _content(opened, max_bytes, name)
        finally:
            os.close(opened)
    except OSError as error:
        raise BadQuery(
            "bad_image",
            f"the file at {name} cannot be read ({error.strerror}): check its path and permissions",
        ) from None


def _check_root(path: Path, roots: Sequence[Path], name: str) -> None:
    if not any(path.is_relative_to(root.resolve()) for root in roots):
        raise BadQuery(
            "image_not_allowed",
            f"{name} is outside image_roots: add its folder there, or send the image itself",
        )


def _content(file: int, max_bytes: int, name: str) -> bytes:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:  # files of /proc have no size; some block
        raise BadQuery("bad_image", f"{name} is not a regular file with content: check its path")
    if status.st_size > max_bytes:
        raise _too_large(max_bytes, name)
    with os.fdopen(file, "rb", closefd=False) as content:
        data = content.read(max(0, max_bytes) + 1)  # it may grow
    if len(data) > max_bytes:
        raise _too_large(max_bytes, name)
    return data


def _too_large(max_bytes: int, name: str) -> BadQuery:
    return BadQuery(
        "too_large", f"the file at {name} has more than {max(0, max_bytes)} bytes: use a smaller one"
    )
