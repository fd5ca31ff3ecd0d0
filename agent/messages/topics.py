"""The MQTT topics of one device."""

from __future__ import annotations

from dataclasses import dataclass

ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Topics:
    """Topic names under `inarvl/<device>/`."""

    device: str

    @property
    def query(self) -> str:
        """Queries to the agent (QoS 1, never retained)."""
        return f"inarvl/{self.device}/query"

    def client_of(self, topic: str) -> str | None:
        """Returns the client whose own topic for feedback `topic` is; None if it is no such topic."""
        prefix = self.feedback_of("")
        return topic.removeprefix(prefix) if topic.startswith(prefix) else None

    def result(self, client: str = ANONYMOUS) -> str:
        """Returns the default reply topic of a client."""
        return f"inarvl/{self.device}/result/{client}"

    @property
    def status(self) -> str:
        """Retained: `online` or `offline`; the last will is `offline`."""
        return f"inarvl/{self.device}/status"

    @property
    def telemetry(self) -> str:
        """Retained: readings of the device, its links and its controller."""
        return f"inarvl/{self.device}/telemetry"

    @property
    def decision(self) -> str:
        """One JSON record per answer."""
        return f"inarvl/{self.device}/decision"

    @property
    def event(self) -> str:
        """Drift, mode and peer events."""
        return f"inarvl/{self.device}/event"

    @property
    def mode_set(self) -> str:
        """Commands that set the mode: auto, local or cloud."""
        return f"inarvl/{self.device}/mode/set"

    @property
    def mode_state(self) -> str:
        """Retained: the current mode."""
        return f"inarvl/{self.device}/mode/state"

    @property
    def feedback(self) -> str:
        """Feedback of an operator: whether an earlier answer was correct."""
        return f"inarvl/{self.device}/feedback"

    def feedback_of(self, client: str) -> str:
        """Returns the topic for feedback of one client, about the answers that it got."""
        return f"{self.feedback}/{client}"
