"""The section `home_assistant` of the site file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from agent.config.client_settings import TopicLevel
from agent.config.yaml_file import Section
from agent.messages.query import MAX_TOPIC_BYTES


def _as_topic(topic: str) -> str:
    levels = topic.split("/")
    if not topic.isprintable() or topic.startswith("$") or len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"must have 1 to {MAX_TOPIC_BYTES} printable bytes and no leading $")
    if not all(levels) or "#" in topic or "+" in topic:
        raise ValueError("must be a topic without + and #, and without / at its ends, such as homeassistant")
    return topic


Topic = Annotated[str, AfterValidator(_as_topic)]


class HomeAssistantSettings(Section):
    """Whether Home Assistant finds the agent by itself, and what it gets.

    It is disabled by default: the agent then publishes on no topic outside `inarvl/`.

    Attributes:
        enabled: whether the agent announces itself.
        prefix: the discovery prefix of Home Assistant.
        birth_topic: where Home Assistant publishes `online` when it has started.
        frames: cameras whose pictures are published for Home Assistant, black where their mask is.
    """

    enabled: bool = False
    prefix: Topic = "homeassistant"
    birth_topic: Topic = "homeassistant/status"
    frames: tuple[TopicLevel, ...] = ()
