"""What may happen to the pictures of each camera."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from agent.config.polygon import Polygon
from agent.config.yaml_file import Section

MAX_POLYGONS = 32


def _as_list(mask: Any) -> Any:
    """Returns one polygon as a list of polygons; everything else as it is."""
    try:
        one = isinstance(mask[0][0], int | float)
    except (TypeError, LookupError):
        return mask
    return [mask] if one else mask


class CameraSettings(Section):
    """The policy of one camera, or of all that have none of their own.

    Attributes:
        local_only: nothing of its queries goes to a model in the cloud.
        mask: polygons that are black in all that goes to the cloud; corners are shares of the width and the
            height of the picture as a person sees it, from its left upper corner.
        cloud_calls_per_day: most calls per UTC day that send its pictures to the cloud; None for no limit.
    """

    local_only: bool = False
    mask: Annotated[tuple[Polygon, ...], BeforeValidator(_as_list), Field(max_length=MAX_POLYGONS)] = ()
    cloud_calls_per_day: int | None = Field(None, ge=0)
