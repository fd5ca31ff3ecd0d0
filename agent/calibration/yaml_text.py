"""A measured machine as a commented profile."""

from __future__ import annotations

import json
import math

from agent.calibration.result import ArmTimings, Calibration
from agent.profile.profile import Profile
from controller.arm import Tier

KERNEL_SHARE = 0.95  # of the memory, since a later kernel may keep more for itself


def written(measured: Calibration, base: Profile, *, name: str, date: str) -> str:
    """YAML that extends `base` by all that was measured; what was not is there as a comment."""
    board = measured.board
    lines = [
        f"# Measured by `inarvl profile new` on {date}. What is not written here is that of {base.name}:",
        f"# `inarvl profile show {name}` prints it all. Change what you know better.",
        *(f"# Not measured: {reason}" for reason in measured.skipped),
        f"name: {quoted(name)}",
        f"extends: {quoted(base.name)}",
        "match:",
        f"  model: {quoted(board.model)}" if board.model else "  model: null  # no device tree here",
        f"  cores: {board.cores}",
        f"  memory_gb: {math.floor(board.memory_gb * KERNEL_SHARE * 10) / 10}",
        *_power(measured, base),
        f"# Memory: {measured.memory_available_mb:.0f} MiB were free"
        + (f", the model server held {measured.server_mb:.0f}." if measured.server_mb else "."),
        *_models(measured, base),
        *_link(measured),
        "sources:",
        *(f"  - {quoted(source)}" for source in _sources(measured, base, date)),
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A YAML scalar; JSON strings are."""
    return json.dumps(text, ensure_ascii=False)


def _power(measured: Calibration, base: Profile) -> list[str]:
    power, source = base.power, measured.power_source
    found = (
        ("idle_w", measured.idle_w, power.idle_w, f"measured by {source}, models loaded, nothing asked"),
        ("local_w", measured.power_w("local"), power.local_w, f"measured by {source}, less idle_w"),
        ("wait_w", measured.power_w("cloud"), power.wait_w, f"measured by {source}, less idle_w"),
    )
    lines = [
        f"  {field}: {_rounded(known)}  # {how}"
        for field, known, _, how in found
        if known is not None and (known > 0 or field == "wait_w")
    ]
    guessed = [
        f"  # {field}: {guess:g}  # of {base.name}, not measured; watts"
        for field, known, guess, _ in (*found, ("radio_w", None, power.radio_w, ""))
        if known is None
    ]
    return ["power:", *lines, *guessed] if lines else ["# power:", *guessed]


def _models(measured: Calibration, base: Profile) -> list[str]:
    tiers: tuple[Tier, ...] = ("local", "cloud")
    lines = []
    for tier in tiers:
        models = measured.models(tier)
        if models:
            lines.append(f"  {tier}:")
        for model, arms in models.items():
            lines += _model(model, arms, base, tier)
    return ["models:", *lines] if lines else []


def _model(model: str, arms: list[ArmTimings], base: Profile, tier: Tier) -> list[str]:
    known = base.models.local if tier == "local" else base.models.cloud
    quality = next((prior.quality for prior in known if prior.name == model), None)
    sides = sorted({arm.resolution for arm in arms})
    latencies = ", ".join(f"{side}: {_rounded(_fastest_ms(arms, side))}" for side in sides)
    runs = len(arms[0].computing_ms)
    return [
        f"    - name: {quoted(model)}",
        f"      resolutions: [{', '.join(map(str, sides))}]",
        f"      latency_ms: {{{latencies}}}  # measured, the median of {runs}",
        f"      quality: {quality}  # of {base.name}, not measured"
        if quality is not None
        else "      # quality: 0.6  # the share of its answers that are right, where you know it",
    ]


def _fastest_ms(arms: list[ArmTimings], resolution: int) -> float:
    """Several peers may serve the model."""
    return min(arm.latency_ms for arm in arms if arm.resolution == resolution)


def _link(measured: Calibration) -> list[str]:
    near = measured.nearest
    if near is None or near.rtt_ms is None:
        return []
    lines = ["link:", f"  rtt_ms: {_rounded(near.rtt_ms)}  # measured to {near.peer}"]
    if near.uplink_mbps is not None:
        lines.append(f"  uplink_mbps: {_rounded(near.uplink_mbps)}")
    return lines


def _sources(measured: Calibration, base: Profile, date: str) -> list[str]:
    power = "not measured" if measured.idle_w is None else f"measured by {measured.power_source} on {date}"
    models = f"latency measured on {date}" if measured.arms else "not measured"
    return [
        f"power: {power}; what is not written here is that of {base.name}",
        f"limits: those of {base.name}",
        f"models: {models}; quality is that of {base.name}",
    ]


def _rounded(value: float) -> float:
    """Three significant digits."""
    return float(f"{value:.3g}")
