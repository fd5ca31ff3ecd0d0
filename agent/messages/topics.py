"""The MQTT topics of one device."""

from __future__ import annotations

from dataclasses import dataclass

ANYONE = "anonymous"


@dataclass(frozen=True)
class Topics:
    """Topic names under `inarvl/<device>/`."""

    device: str

    @property
    def query(self) -> str:
        """Questions arrive here (QoS 1, never retained)."""
        return f"inarvl/{self.device}/query"

    def result(self, client: str = ANYONE) -> str:
        """Where answers go when the question names no response topic."""
        return f"inarvl/{self.device}/result/{client}"

    @property
    def status(self) -> str:
        """Retained `online` or `offline`; the last will says offline."""
        return f"inarvl/{self.device}/status"

    @property
    def telemetry(self) -> str:
        """Retained readings of the device, its links and its controller."""
        return f"inarvl/{self.device}/telemetry"

    @property
    def decision(self) -> str:
        """One record per answer."""
        return f"inarvl/{self.device}/decision"

    @property
    def event(self) -> str:
        """Drift, mode and peer events."""
        return f"inarvl/{self.device}/event"

    @property
    def mode_set(self) -> str:
        """Takes auto, local or cloud."""
        return f"inarvl/{self.device}/mode/set"

    @property
    def mode_state(self) -> str:
        """Retained: the mode in force."""
        return f"inarvl/{self.device}/mode/state"

    @property
    def feedback(self) -> str:
        """Takes the truth about an earlier answer."""
        return f"inarvl/{self.device}/feedback"
