"""What may happen to the pictures of each camera, and what the agent asks about them by itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from agent.config.camera_source import CameraSource
from agent.config.client_settings import TopicLevel
from agent.config.polygon import Polygon
from agent.config.spend_settings import Amount
from agent.config.standing_question import StandingQuestion
from agent.config.yaml_file import Section

MAX_POLYGONS = 32
MAX_QUESTIONS = 64


def _as_list(mask: Any) -> Any:
    """Returns one polygon as a list of polygons; everything else as it is."""
    try:
        one = isinstance(mask[0][0], int | float)
    except (TypeError, LookupError):
        return mask
    return [mask] if one else mask


class CameraSettings(Section):
    """One camera: its policy, and the questions that the agent asks about its pictures.

    Attributes:
        source: where the agent gets its pictures; None if the camera asks by itself.
        questions: by name.
        local_only: nothing of its queries goes to a model in the cloud.
        mask: polygons that are black in all that goes to the cloud; corners are shares of the width and the
            height of the picture as a person sees it, from its left upper corner.
        cloud_calls_per_day: most calls per UTC day that send its pictures to the cloud; None for no limit.
        spend_per_day: most that the calls for its queries may cost per day, from midnight local time, in
            units of `spend.currency`; None for no cap.
    """

    local_only: bool = False
    mask: Annotated[tuple[Polygon, ...], BeforeValidator(_as_list), Field(max_length=MAX_POLYGONS)] = ()
    cloud_calls_per_day: int | None = Field(None, ge=0)
    spend_per_day: Amount | None = None
    source: CameraSource | None = None
    questions: dict[TopicLevel, StandingQuestion] = Field(default_factory=dict, max_length=MAX_QUESTIONS)

    @model_validator(mode="after")
    def _belong_together(self) -> CameraSettings:
        if self.source is None and self.questions:
            raise ValueError("questions need a source of pictures: add source, or remove questions")
        if self.source is not None and not self.questions:
            raise ValueError("a source needs questions about its pictures: add questions, or remove source")
        if self.source is not None and self.source.kind in ("http", "rtsp"):
            for name, question in self.questions.items():
                if question.when.each_picture:
                    raise ValueError(f"questions.{name}.when: add every_s, on_change or trigger")
        return self
