"""Reads the power from a message of a smart plug.

Known are the JSON of Shelly (second generation: `apower` of a switch or a meter, also inside an event),
Tasmota (`ENERGY.Power`, also inside `StatusSNS` or `SN`) and zigbee2mqtt (`power`), and a bare number, which
the first generation of Shelly sends. Everything else is refused: a wrong number would become joules.
"""

from __future__ import annotations

import json
import math
from typing import Any

from agent.profile.watts import MAX_BOARD_W
from inarvl.errors import InarvlError

MAX_BYTES = 16 * 1024
POWER_FIELDS = ("apower", "act_power", "power")  # Shelly, its three-phase meters, zigbee2mqtt
WRAPPERS = ("statussns", "sn", "params")
COMPONENTS = ("switch:", "pm1:", "cover:", "light:")


class BadPlugMessage(InarvlError):
    """The message of a plug has no power that can be used; the message says what it has."""

    code = "bad_plug_message"


def power_w(payload: bytes) -> float:
    """Returns the power in a message of a plug, in watts.

    Raises:
        BadPlugMessage: it has no power, or not a plausible one.
    """
    if len(payload) > MAX_BYTES:
        raise BadPlugMessage(f"the message has {len(payload)} bytes, more than {MAX_BYTES}: is it of a plug?")
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadPlugMessage("the message is not JSON or a number: name the topic with the power") from None
    found = _power(content)
    if not 0 <= found <= MAX_BOARD_W:
        raise BadPlugMessage(
            f"the plug measures {found:g} W, not between 0 and {MAX_BOARD_W:g}: "
            "is it the right way round, and only this board behind it?"
        )
    return found


def _power(content: Any) -> float:
    if isinstance(content, int | float) and not isinstance(content, bool):
        return _finite(content)
    if not isinstance(content, dict):
        raise BadPlugMessage("the message is not an object or a number: name the topic with the power")
    fields = {name.lower(): value for name, value in content.items()}
    for wrapper in WRAPPERS:
        if isinstance(fields.get(wrapper), dict):
            return _power(fields[wrapper])
    energy = fields.get("energy")
    if isinstance(energy, dict) and "Power" in energy:
        return _number(energy["Power"], "ENERGY.Power")
    for name in POWER_FIELDS:
        if name in fields:
            return _number(fields[name], name)
    parts = [value for name, value in fields.items() if name.startswith(COMPONENTS) and _has_power(value)]
    if len(parts) == 1:
        return _power(parts[0])
    several = f"{len(parts)} of several channels" if parts else f"only {', '.join(sorted(content)[:8])}"
    raise BadPlugMessage(
        f"the message has no power, {several}: expected apower (Shelly) or ENERGY.Power (Tasmota)"
    )


def _has_power(value: Any) -> bool:
    return isinstance(value, dict) and any(name in value for name in POWER_FIELDS)


def _number(value: Any, name: str) -> float:
    if isinstance(value, list):
        raise BadPlugMessage(f"{name} has {len(value)} channels: use a plug with one, for this board alone")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadPlugMessage(f"{name} is not a number: {str(value)[:40]!r}")
    return _finite(value)


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadPlugMessage("the power is not a finite number")
    return number
