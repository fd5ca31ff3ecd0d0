"""A polygon in an image, whose inside is clear."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_CORNERS = 64

Share = Annotated[float, Field(ge=0, le=1)]
Corner = tuple[Share, Share]


def _as_polygon(corners: tuple[Corner, ...]) -> tuple[Corner, ...]:
    if not 3 <= len(corners) <= MAX_CORNERS:
        raise ValueError(f"a polygon must have 3 to {MAX_CORNERS} corners [x, y]")
    first, second = corners[0], next((corner for corner in corners if corner != corners[0]), corners[0])
    if all(_side(first, second, corner) == 0 for corner in corners):
        raise ValueError("the polygon covers nothing: its corners are on one line")
    edges = list(zip(corners, (*corners[1:], corners[0]), strict=True))
    if any(_cross(*one, *other) for one, other in combinations(edges, 2)):
        raise ValueError("the edges of the polygon cross: list its corners in their order around it")
    return corners


Polygon = Annotated[tuple[Corner, ...], AfterValidator(_as_polygon)]


def _side(start: Corner, end: Corner, point: Corner) -> float:
    """Returns a number whose sign is the side of a line on which a point is; 0 on the line."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _cross(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Returns whether two edges cross; edges that only touch do not."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0
