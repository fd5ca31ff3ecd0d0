"""Readings of a Jetson, from the jtop service of jetson-stats.

jetson-stats is not part of inarvl (AGPL-3.0). It is used if the owner of the board has installed it, and
imported only on a Jetson, since importing it sets the start method of multiprocessing to fork. jtop reports
power in mW, memory in KiB, clocks in kHz and loads in percent; an offline zone reads -256 degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from agent.sensing.files import ratio
from agent.sensing.ina import total_w
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.thermal import IGNORED_ZONES, plausible_c

MIN_INTERVAL_S = 0.5  # the service reads everything for each sample

# Parts of jtop's error messages, and what to do; the first match is used.
REMEDIES = (
    ("not active", "start its service: `systemctl enable --now jtop`"),
    ("can't access", "add the agent's user to its group: `usermod -aG jtop inarvl`, then restart the agent"),
    (
        "mismatch version",
        "install the version of the service: `pip install jetson-stats==VERSION`, then restart the agent",
    ),
    ("mismatch of python", "run the agent with the Python that runs the jtop service"),
)


class Jtop:
    """Power, GPU load, temperatures, power mode and fan of a Jetson.

    Args:
        connect: returns a started jtop client that reads at the given interval in seconds.
        present: returns whether the board is a Jetson.
        interval_s: seconds between samples.
        rails: rails whose sum is the board's power; if empty, the total that jtop reports.
    """

    name = "jtop"

    def __init__(
        self,
        connect: Callable[[float], Any],
        *,
        present: Callable[[], bool],
        interval_s: float,
        rails: tuple[str, ...] = (),
    ) -> None:
        self._connect = connect
        self._present = present
        self._interval_s = interval_s
        self._rails = rails
        self._client: Any = None

    def sample(self) -> Sample:
        """Reads the latest values of the service."""
        if not self._present():
            raise SensorAbsent("not a Jetson")
        try:
            if self._client is None:
                self._client = self._connect(self._interval_s)
            if not self._client.ok(spin=True):
                raise EOFError("the service closed the connection")
            return read(self._client, self._rails)
        except SensorFault:
            raise
        except Exception as error:  # jtop raises almost any exception if its service or version is unexpected
            self.close()
            raise SensorFault(f"jtop cannot be read ({_first_line(error)}): {_remedy(error)}") from error

    def close(self) -> None:
        """Closes the connection to the service."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # the connection may be broken; `sample` has reported that already
                client.close()


def connect(interval_s: float) -> Any:
    """Returns a started client of the jtop service.

    Raises:
        SensorFault: jetson-stats is not installed.
    """
    try:
        from jtop import jtop
    except ImportError:
        raise SensorFault(
            "jtop is not installed for the agent's Python: `pip install jetson-stats`, "
            "in the version of the board's service"
        ) from None
    client = jtop(interval=interval_s)
    client.start()
    return client


def read(client: Any, rails: tuple[str, ...] = ()) -> Sample:
    """Returns the present values of a started client; values that the board does not report are left out."""
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
            if not name.lower().startswith(IGNORED_ZONES)
            and _table(zone).get("online", True)
            and (temp_c := plausible_c(_number(_table(zone).get("temp")), 1.0)) is not None
        },
        power_mode=getattr(mode, "name", None) or (None if mode is None else str(mode)),
        fan_ratio=ratio(max(speeds, default=None), 100.0),
    )


def _table(value: Any) -> Mapping[str, Any]:
    """Converts one of jtop's tables, a dict or an object with the methods of one, to a dict."""
    return dict(value.items()) if hasattr(value, "items") else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, list) else [value]
    return [known for known in map(_number, values) if known is not None]


def _message(error: Exception) -> str:
    return str(getattr(error, "message", "") or error)


def _first_line(error: Exception) -> str:
    return _message(error).split("\n")[0].strip() or type(error).__name__


def _remedy(error: Exception) -> str:
    message = _message(error).lower()
    for words, remedy in REMEDIES:
        if words in message:
            return remedy
    return "see `systemctl status jtop`; the agent tries again by itself"
