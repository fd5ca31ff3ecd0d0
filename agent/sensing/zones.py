"""What a temperature is of: the processor and its board, or a part such as a disk or a radio.

Only the board's temperatures limit its models. A disk may be warmer than the board all its life, and the
kernel, drivers and jtop list both in the same place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Zones that are not a temperature: the PMIC of older Jetsons always reads 100 degrees.
CONSTANT = re.compile(r"pmic", re.IGNORECASE)
# Disks, radios, network interfaces, batteries, peripherals, the air. jtop before 7 names the sensors of a
# disk only "Composite" and "Sensor 1".
PART = re.compile(
    r"nvme|composite|^sensor ?\d|ssd|hdd|drive|sata|mmc|iwl|wi-?fi|wlan|ath\d|mt7\d|modem|wwan|phy|mdio|eth"
    r"|sfp|batt|^bat|charg|ambient|air|sht\d|lm75|usb|camera|skin|spd5118|jc42",
    re.IGNORECASE,
)
# The processor and what is on its chip or module: Jetsons, Raspberry Pi, Rockchip, x86.
BOARD = re.compile(
    r"cpu|gpu|soc|npu|core|clust|pkg|package|tctl|tccd|tdie|\btj|tdiode|tboard|^cv\d?(-|$)|^a(o|ux)(-|$)"
    r"|center|thermal-fan-est|pll|dram|^mem|bcm2|x86",
    re.IGNORECASE,
)


def split_zones(temps_c: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the temperatures of the board, and those of its parts.

    A zone whose name says nothing counts as the board's only if no other does.
    """
    named = {name: temp_c for name, temp_c in temps_c.items() if not CONSTANT.search(name)}
    parts = {name: temp_c for name, temp_c in named.items() if PART.search(name)}
    others = {name: temp_c for name, temp_c in named.items() if name not in parts}
    board = {name: temp_c for name, temp_c in others.items() if BOARD.search(name)}
    if not board:
        return others, parts
    return board, {name: temp_c for name, temp_c in named.items() if name not in board}


def names_board(temps_c: Mapping[str, float]) -> bool:
    """Returns whether one of the zones is known to be of the board."""
    return any(BOARD.search(name) and not PART.search(name) and not CONSTANT.search(name) for name in temps_c)
