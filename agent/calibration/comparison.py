"""What a calibration found to be other than the profile that it extends says."""

from __future__ import annotations

from collections.abc import Iterator

from agent.calibration.result import Calibration
from agent.profile.profile import Profile
from controller.arm import Tier

NOTABLE = 0.25


def differences(calibration: Calibration, base: Profile) -> list[str]:
    """Returns what differs by more than `NOTABLE` of the profile's value, a line each."""
    return [
        f"{what}: {measured:.3g} {unit}, {measured / expected - 1.0:+.0%} against {expected:g} in {base.name}"
        for what, unit, measured, expected in _pairs(calibration, base)
        if abs(measured / expected - 1.0) > NOTABLE
    ]


def _pairs(calibration: Calibration, base: Profile) -> Iterator[tuple[str, str, float, float]]:
    """Yields what was measured and is in the profile too: name, unit, measured and expected value."""
    power = base.power_in(calibration.power_mode)
    for name, watts, expected_w in (
        ("idle_w", calibration.idle_w, power.idle_w),
        ("local_w", calibration.power_w("local"), power.local_w),
        ("wait_w", calibration.power_w("cloud"), power.wait_w),
    ):
        if watts is not None and expected_w > 0.0:
            yield name, "W", watts, expected_w
    tiers: tuple[Tier, ...] = ("local", "cloud")
    for tier in tiers:
        listed = base.models.local if tier == "local" else base.models.cloud
        priors = {prior.name: prior for prior in listed}
        for model, arms in calibration.models(tier).items():
            for arm in arms:
                expected_ms = priors[model].latency_at(arm.resolution) if model in priors else None
                if expected_ms:
                    yield f"latency of {model} at {arm.resolution} px", "ms", arm.latency_ms, expected_ms
