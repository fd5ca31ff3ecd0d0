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
        """The open topic for queries (QoS 1, never retained): anybody may write any client's name in them."""
        return f"inarvl/{self.device}/query"

    def query_of(self, client: str) -> str:
        """Returns the topic for queries of one client, to which the broker lets only this client publish."""
        return f"{self.query}/{client}"

    def client_of(self, topic: str) -> str | None:
        """Returns the client whose own topic for queries or feedback `topic` is; None if it is no such topic.

        >>> Topics("gate").client_of("inarvl/gate/query/camera-1")
        'camera-1'
        """
        for shared in (self.query, self.feedback):
            if topic.startswith(f"{shared}/"):
                return topic.removeprefix(f"{shared}/")
        return None

    def result(self, client: str = ANONYMOUS) -> str:
        """Returns the default reply topic of a client."""
        return f"inarvl/{self.device}/result/{client}"

    def camera_picture(self, camera: str) -> str:
        """Returns the topic for pictures of a camera, for Home Assistant."""
        return f"inarvl/{self.device}/picture/{camera}"

    def camera_answer(self, camera: str, question: str) -> str:
        """Returns the topic for answers to a standing question of a camera."""
        return f"inarvl/{self.device}/camera/{camera}/{question}"

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

    def received(self, *, open_topic: bool = True) -> tuple[str, ...]:
        """Returns the topics that the agent subscribes to, as filters.

        Args:
            open_topic: whether queries on the open topic are received.
        """
        queries = (self.query, self.query_of("+")) if open_topic else (self.query_of("+"),)
        return (*queries, self.mode_set, self.feedback, self.feedback_of("+"))
