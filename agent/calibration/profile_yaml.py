"""Writes a calibration as a commented profile."""

from __future__ import annotations

import json
import math

from agent.calibration.comparison import differences
from agent.calibration.result import ArmTimings, Calibration
from agent.profile.power_modes import find_mode
from agent.profile.profile import Profile
from controller.arm import Tier

KERNEL_SHARE = 0.95  # of the measured memory, since a later kernel may reserve more for itself


def to_yaml(calibration: Calibration, base: Profile, *, name: str, date: str) -> str:
    """Returns a profile that extends `base` by the measured values; comments list the other values."""
    board = calibration.board
    lines = [
        f"# Measured by `inarvl profile new` on {date}. Values that are not here come from {base.name}:",
        f"# `inarvl profile show {name}` prints all of them. Correct those that you know better.",
        *(f"# Not measured: {reason}" for reason in calibration.skipped),
        *(f"# Doubtful: {reason}" for reason in calibration.doubts),
        *(f"# Differs: {difference}" for difference in differences(calibration, base)),
        f"name: {quoted(name)}",
        f"extends: {quoted(base.name)}",
        "match:",
        f"  model: {quoted(board.model)}" if board.model else "  model: null  # no device tree",
        f"  cores: {board.cores}",
        f"  memory_gb: {math.floor(board.memory_gb * KERNEL_SHARE * 10) / 10}",
        *_power(calibration, base),
        f"# Memory: {calibration.memory_available_mb:.0f} MiB were free"
        + (f", the model server used {calibration.server_mb:.0f}." if calibration.server_mb else "."),
        *_models(calibration, base),
        *_link(calibration),
        "sources:",
        *(f"  - {quoted(source)}" for source in _sources(calibration, base, date)),
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Returns a YAML scalar: every JSON string is one."""
    return json.dumps(text, ensure_ascii=False)


def _power(calibration: Calibration, base: Profile) -> list[str]:
    power, how = base.power, f"measured by {calibration.power_source}"
    local_w, wait_w = calibration.power_w("local"), calibration.power_w("cloud")
    fields = (
        ("idle_w", calibration.idle_w, power.idle_w, f"{how}, with models loaded, without requests"),
        ("local_w", local_w, power.local_w, f"{how}, above idle_w"),
        ("wait_w", wait_w, power.wait_w, f"{how}, above idle_w"),
        ("radio_w", None, power.radio_w, ""),
    )
    measured = [
        f"  {field}: {_rounded(watts)}  # {comment}"
        for field, watts, _, comment in fields
        if watts is not None and (watts > 0 or field == "wait_w")
    ]
    inherited = [
        f"  # {field}: {base_w:g}  # watts; not measured, from {base.name}"
        for field, watts, base_w, _ in fields
        if watts is None
    ]
    if measured and base.power_modes:
        measured.append(_mode(calibration, base))
    return ["power:" if measured else "# power:", *measured, *inherited]


def _mode(calibration: Calibration, base: Profile) -> str:
    """The power mode in which the power was measured: that of the base holds for other watts."""
    mode = find_mode(base.power_modes, calibration.power_mode)
    if mode is None:
        name = quoted(calibration.power_mode or "unknown")
        return f"  mode: null  # measured in the power mode {name}, which is not under power_modes"
    return f"  mode: {quoted(mode.name)}  # the power mode in which it was measured"


def _models(calibration: Calibration, base: Profile) -> list[str]:
    tiers: tuple[Tier, ...] = ("local", "cloud")
    lines = []
    for tier in tiers:
        models = calibration.models(tier)
        if models:
            lines.append(f"  {tier}:")
        for model, arms in models.items():
            lines += _model(model, arms, base, tier)
    return ["models:", *lines] if lines else []


def _model(model: str, arms: list[ArmTimings], base: Profile, tier: Tier) -> list[str]:
    priors = base.models.local if tier == "local" else base.models.cloud
    quality = next((prior.quality for prior in priors if prior.name == model), None)
    resolutions = sorted({arm.resolution for arm in arms})
    latencies = ", ".join(f"{side}: {_rounded(_fastest_ms(arms, side))}" for side in resolutions)
    runs, width = min(len(arm.computing_ms) for arm in arms), max(arm.half_width for arm in arms)
    interval = f", ±{width:.0%} or less" if math.isfinite(width) else ""
    return [
        f"    - name: {quoted(model)}",
        f"      resolutions: [{', '.join(map(str, resolutions))}]",
        f"      latency_ms: {{{latencies}}}  # measured, the median of {runs} or more{interval}",
        f"      quality: {quality}  # not measured, from {base.name}"
        if quality is not None
        else "      # quality: 0.6  # share of its answers that are correct, if you know it",
    ]


def _fastest_ms(arms: list[ArmTimings], resolution: int) -> float:
    """Latency on the fastest server, since several peers may serve the model."""
    return min(arm.latency_ms for arm in arms if arm.resolution == resolution)


def _link(calibration: Calibration) -> list[str]:
    nearest = calibration.nearest
    if nearest is None or nearest.rtt_ms is None:
        return []
    lines = ["link:", f"  rtt_ms: {_rounded(nearest.rtt_ms)}  # measured to {nearest.peer}"]
    if nearest.uplink_mbps is not None:
        lines.append(f"  uplink_mbps: {_rounded(nearest.uplink_mbps)}")
    return lines


def _sources(calibration: Calibration, base: Profile, date: str) -> list[str]:
    power = f"measured by {calibration.power_source} on {date}"
    if calibration.idle_w is None:
        power = "not measured"
    models = f"latency measured on {date}" if calibration.arms else "not measured"
    return [
        f"power: {power}; other values from {base.name}",
        f"limits: from {base.name}",
        f"models: {models}; quality from {base.name}",
    ]


def _rounded(value: float) -> float:
    """Rounds to three significant digits."""
    return float(f"{value:.3g}")
