"""What was announced to Home Assistant, so that it can be removed, also after a restart of the agent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.home_assistant.component import Component

MAX_REMOVED: Final = 256  # older ones are forgotten


@dataclass(frozen=True)
class Announced:
    """A discovery message in the broker.

    Attributes:
        topic: where it is retained.
        platforms: of the entities that it has or had, by key, the oldest first.
    """

    topic: str
    platforms: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Announced:
        """Reads what `to_json` wrote."""
        platforms = {str(key): str(platform) for key, platform in content["platforms"].items()}
        return cls(str(content["topic"]), platforms)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return {"topic": self.topic, "platforms": self.platforms}

    def removed(self, components: Iterable[Component]) -> dict[str, str]:
        """Returns the platforms of the entities that are no longer among `components`, by key."""
        present = {component.key for component in components}
        return {key: platform for key, platform in self.platforms.items() if key not in present}

    def followed_by(self, components: Iterable[Component]) -> Announced:
        """Returns the message that has `components`, and remembers the removed ones."""
        present = {component.key: component.platform for component in components}
        removed = [(key, platform) for key, platform in self.platforms.items() if key not in present]
        return Announced(self.topic, dict(removed[-MAX_REMOVED:]) | present)
