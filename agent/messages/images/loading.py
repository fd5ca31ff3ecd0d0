"""Loads the images of a query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.messages.query import BadQuery, Query


def load(query: Query, roots: Sequence[Path], max_bytes: int) -> tuple[bytes, ...]:
    """Returns the encoded images of `query`, read from a file where it names one.

    Args:
        roots: folders from which files may be read.
        max_bytes: size limit of all images together.

    Raises:
        BadQuery: a file is outside the roots, cannot be read, or the images are too large.
    """
    loaded: list[bytes] = []
    for source in query.sources:
        if isinstance(source, Path):
            loaded.append(_read(source, roots, max_bytes - sum(map(len, loaded))))
        else:
            loaded.append(source)
    return tuple(loaded)


def _read(file: Path, roots: Sequence[Path], max_bytes: int) -> bytes:
    try:
        path = file.resolve()
    except (OSError, ValueError, RuntimeError):  # such as a NUL character, or symbolic links in a circle
        raise BadQuery("bad_image", "image_url is not a valid path: check it") from None
    if not any(path.is_relative_to(root.resolve()) for root in roots):
        raise BadQuery(
            "image_not_allowed",
            "image_url is outside image_roots: add its folder there, or send the image itself",
        )
    try:
        if path.stat().st_size > max_bytes:
            raise BadQuery(
                "too_large",
                f"the file at image_url has more than {max(0, max_bytes)} bytes: use a smaller one",
            )
        return path.read_bytes()
    except OSError as error:
        raise BadQuery(
            "bad_image",
            f"the file at image_url cannot be read ({error.strerror}): check its path and permissions",
        ) from None
