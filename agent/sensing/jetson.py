"""A Jetson's readings through the service of jetson-stats (jtop).

jetson-stats is no part of inarvl (AGPL-3.0); it is used where its owner has installed it, and imported only
on a Jetson, since importing it makes multiprocessing fork. Power comes in mW, memory in KiB, clocks in kHz,
loads in percent, and a zone that is offline reads -256 degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from agent.sensing.files import ratio
from agent.sensing.ina import total_w
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.thermal import ELSEWHERE, plausible_c

FASTEST_S = 0.5  # between samples: its service reads everything each time

# What jtop's own messages mean for the agent; the first that occurs in the message is told.
REMEDIES = (
    ("not active", "start its service: `systemctl enable --now jtop`"),
    ("can't access", "add the agent's user to its group: `usermod -aG jtop inarvl`, then restart the agent"),
    (
        "mismatch version",
        "install the version the service has: `pip install jetson-stats==THAT`, then restart",
    ),
    ("mismatch of python", "run the agent with the Python that runs the jtop service"),
)


class Jetson:
    """Everything jtop tells.

    Args:
        connect: gives a started jtop client that reads at the given interval in seconds.
        present: whether this is a Jetson.
        rails: whose sum is the board's power; empty takes jtop's own total.
    """

    name = "jtop"

    def __init__(
        self,
        connect: Callable[[float], Any],
        *,
        present: Callable[[], bool],
        every_s: float,
        rails: tuple[str, ...] = (),
    ) -> None:
        self._connect = connect
        self._present = present
        self._every_s = every_s
        self._rails = rails
        self._client: Any = None

    def sample(self) -> Sample:
        """The latest that the service told."""
        if not self._present():
            raise SensorAbsent("no Jetson")
        try:
            if self._client is None:
                self._client = self._connect(self._every_s)
            if not self._client.ok(spin=True):
                raise EOFError("its service went away")
            return read(self._client, self._rails)
        except SensorFault:
            raise
        except (
            Exception
        ) as error:  # it raises nearly anything when its service or version is not as it expects
            self.close()
            raise SensorFault(f"jtop does not tell ({_said(error)}): {_remedy(error)}") from error

    def close(self) -> None:
        """End the client."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it is broken already, which has been told
                client.close()


def connect(every_s: float) -> Any:
    """A started client of the jtop service.

    Raises:
        SensorFault: jetson-stats is not installed.
    """
    try:
        from jtop import jtop
    except ImportError:
        raise SensorFault(
            "jtop is not installed for the agent's Python: `pip install jetson-stats`, "
            "of the version that the board's service has"
        ) from None
    client = jtop(interval=every_s)
    client.start()
    return client


def read(client: Any, rails: tuple[str, ...] = ()) -> Sample:
    """What a started client holds now; what a board does not tell is left out."""
    power = _table(client.power)
    rails_w = {
        name: milliwatts / 1e3
        for name, rail in _table(power.get("rail")).items()
        if (milliwatts := _number(_table(rail).get("power"))) is not None
    }
    total = _table(power.get("tot"))
    total_mw = _number(total.get("power")) if rails_w or "volt" in total else None
    if isinstance(total.get("name"), str) and total_mw is not None:
        rails_w[total["name"]] = total_mw / 1e3
    gpu = next((_table(known) for known in _table(client.gpu).values()), {})
    speeds = [speed for fan in _table(client.fan).values() for speed in _numbers(_table(fan).get("speed"))]
    mode = client.nvpmodel
    return Sample(
        power_w=total_w(rails_w, rails) if rails else None if total_mw is None else total_mw / 1e3,
        rails_w=rails_w,
        gpu_load=ratio(_number(_table(gpu.get("status")).get("load")), 100.0),
        temps_c={
            name: temp_c
            for name, zone in _table(client.temperature).items()
            if not name.lower().startswith(ELSEWHERE)
            and _table(zone).get("online", True)
            and (temp_c := plausible_c(_number(_table(zone).get("temp")), 1.0)) is not None
        },
        power_mode=getattr(mode, "name", None) or (None if mode is None else str(mode)),
        fan_ratio=ratio(max(speeds, default=None), 100.0),
    )


def _table(value: Any) -> Mapping[str, Any]:
    """jtop's tables are dicts or objects with their methods."""
    return dict(value.items()) if hasattr(value, "items") else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, list) else [value]
    return [known for known in map(_number, values) if known is not None]


def _said(error: Exception) -> str:
    said = str(getattr(error, "message", "") or error).split("\n")[0].strip()
    return said or type(error).__name__


def _remedy(error: Exception) -> str:
    said = str(getattr(error, "message", "") or error).lower()
    for words, remedy in REMEDIES:
        if words in said:
            return remedy
    return "see `systemctl status jtop`; it is tried again by itself"
