"""What an answer draws from the board beyond its idle power, by the power model alone."""

from __future__ import annotations

from controller.beliefs import Vector
from controller.settings import PowerModel


def local_energy_j(power: PowerModel, computing_ms: Vector) -> Vector:
    """Of the board's own model; waiting in its queue costs nothing beyond idle."""
    return power.local_w / 1e3 * computing_ms


def cloud_energy_j(
    power: PowerModel, latency_ms: Vector, sending_ms: Vector, payload_bytes: Vector
) -> Vector:
    """Of asking the cloud: waiting all the time, and sending.

    >>> power = PowerModel(wait_w=1.0, radio_w=2.0, radio_j_per_mb=4.0)
    >>> round(cloud_energy_j(power, latency_ms=500.0, sending_ms=100.0, payload_bytes=50_000), 3)
    0.9
    """
    waiting_j = power.wait_w / 1e3 * latency_ms
    return waiting_j + power.radio_w / 1e3 * sending_ms + power.radio_j_per_mb / 1e6 * payload_bytes
