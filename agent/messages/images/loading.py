"""Loads the image of a query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.messages.query import BadQuery, Query


def load(query: Query, roots: Sequence[Path], max_bytes: int) -> bytes:
    """Returns the encoded image of `query`, from its file if it names one.

    Args:
        roots: folders from which files may be read.
        max_bytes: size limit of a file.

    Raises:
        BadQuery: the file is outside the roots, cannot be read, or is too large.
    """
    if query.image is not None:
        return query.image
    assert query.image_path is not None, "a query has one of image and image_path"
    try:
        path = query.image_path.resolve()
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
                "too_large", f"the file at image_url has more than {max_bytes} bytes: use a smaller one"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadQuery(
            "bad_image",
            f"the file at image_url cannot be read ({error.strerror}): check its path and permissions",
        ) from None
