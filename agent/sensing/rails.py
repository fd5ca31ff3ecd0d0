"""Which of a board's monitored rails add up to its power.

1. If an input is monitored, it carries the power of all other rails: the input of the carrier board, else of
   the module.
2. Otherwise the rails are added, without those that another rail contains, and without the ports and
   supplies of the carrier board: the power of a USB-C supply is that of the rails behind it, and a port that
   charges a phone is not the board. On a Jetson AGX Orin and AGX Thor the rails are the module's inputs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

CARRIER_INPUT = "VIN"  # of the carrier board of a Jetson AGX Thor
# The inputs of the carrier board, then of a module: Orin Nano and NX, Xavier NX, TX2; Nano.
INPUT_RAILS = (CARRIER_INPUT, "VDD_IN", "POM_5V_IN")
# A rail, and the one that contains it (NVIDIA Jetson Linux Developer Guide, "Software-Based Power Consumption
# Modeling" of Jetson Orin).
CONTAINED = {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}
# Rails of the module of a Jetson AGX Thor, whose carrier board has an INA238 at its input.
THOR_MODULE = "VDD_CPU_SOC_MSS"
UNKNOWN_MONITOR = "INA238"  # one without a label on another board: nothing says what it measures
NOT_THE_BOARD = re.compile(
    r"ucsi|tcpm|type-?c|usb|psy|vbus|charge|adapter|mains|batt|^(ac|bat|adp)\d*$|^ina\d", re.IGNORECASE
)


def board_rails(rails: Collection[str]) -> tuple[str, ...]:
    """Returns those of the monitored rails that add up to the power of the board."""
    for name in INPUT_RAILS:
        if name in rails:
            return (name,)
    return tuple(
        rail for rail in rails if CONTAINED.get(rail) not in rails and not NOT_THE_BOARD.search(rail)
    )


def total_w(rails_w: Mapping[str, float], rails: Collection[str]) -> float | None:
    """Returns the sum of the power of `rails`; None if one of them is missing, or there is none."""
    if not rails or not set(rails) <= rails_w.keys():
        return None
    return sum(rails_w[rail] for rail in rails)
