"""What cannot or may not be done, whatever it would cost."""

from __future__ import annotations

from controller.arm import Tier
from controller.context import Context, DeviceState, Mode, Option
from controller.settings import Limits


def blocked(option: Option, context: Context, limits: Limits) -> str | None:
    """Why `option` must not be used now, in words; None when it may."""
    if option.blocked is not None:
        return option.blocked
    tier = option.arm.tier
    why = barred(tier, context.pin, context.mode)
    if why is None and tier == "local":
        return _strained(option, context.device, limits)
    return why


def barred(tier: Tier, pin: Tier | None, mode: Mode) -> str | None:
    """Why a query may not go to `tier` whatever the time, in words; None when it may.

    Nothing leaves the board unless both the query's pin and the mode allow it: a pin to the board overrules
    the mode `cloud`, but a pin to the cloud does not overrule the mode `local`.
    """
    if pin is not None and tier != pin:
        return f"the query is pinned to {_place(pin)}"
    if mode == "local" and tier == "cloud":
        return "the mode is local"
    if mode == "cloud" and tier == "local" and pin is None:
        return "the mode is cloud"
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
