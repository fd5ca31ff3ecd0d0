"""The entity with the last picture of a camera."""

from __future__ import annotations

from agent.home_assistant.component import Component
from agent.home_assistant.identifier import identifier


def picture_component(camera: str, topic: str) -> Component:
    """Returns the entity of a camera whose pictures are published, as JPEG or PNG, on `topic`."""
    return Component(f"picture_{identifier(camera)}", "image", camera, {"image_topic": topic})
