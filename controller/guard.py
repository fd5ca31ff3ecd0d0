"""What cannot or may not be done, whatever it would cost."""

from __future__ import annotations

from controller.context import Context, DeviceState, Option
from controller.settings import Limits


def blocked(option: Option, context: Context, limits: Limits) -> str | None:
    """Why `option` must not be used now, in words; None when it may.

    Nothing leaves the board unless both the query's pin and the mode allow it: a pin to the board overrules
    the mode `cloud`, but a pin to the cloud does not overrule the mode `local`.
    """
    if option.blocked is not None:
        return option.blocked
    tier = option.arm.tier
    if context.pin is not None and tier != context.pin:
        return f"the query is pinned to {_place(context.pin)}"
    if context.mode == "local" and tier == "cloud":
        return "the mode is local"
    if context.mode == "cloud" and tier == "local" and context.pin is None:
        return "the mode is cloud"
    if tier == "local":
        return _strained(option, context.device, limits)
    return None


def _place(tier: str) -> str:
    return "the board" if tier == "local" else "the cloud"


def _strained(option: Option, device: DeviceState, limits: Limits) -> str | None:
    if limits.temp_c is not None and device.temp_c is not None and device.temp_c >= limits.temp_c:
        return f"the board is too hot: {device.temp_c:.0f} C of {limits.temp_c:.0f} C"
    charge_pct, least_pct = device.battery_pct, limits.battery_pct
    if charge_pct is not None and least_pct is not None and charge_pct <= least_pct:
        return f"the battery is low: {charge_pct:.0f}%"
    if limits.memory_mb is not None and device.memory_available_mb is not None and option.memory_mb:
        left_mb = device.memory_available_mb - option.memory_mb
        if left_mb < limits.memory_mb:
            return f"memory is short: {device.memory_available_mb:.0f} MB are free"
    return None
