"""Readings of a Jetson, from the jtop service of jetson-stats.

jetson-stats is not part of inarvl (AGPL-3.0). It is used if the owner of the board has installed it, and
imported only on a Jetson, since importing it sets the start method of multiprocessing to fork. jtop reports
power in mW, memory in KiB, clocks in kHz and loads in percent; an offline zone reads -256 degrees.

Its tables differ between its versions (4.3 to 7.2 were read), JetPack releases and boards:
1. A table or a value that is missing is left out; other sensors report it then.
2. Its total is used only if it is a monitored rail. Otherwise it is the sum of everything, in some versions
   with the USB-C supply, and of rails that contain one another: the rails are added as `rails.py` says.
3. Without the GPU's files it asks NVML, which knows no load on an Orin, and reports 0. Only Thor's is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from agent.sensing.files import ratio
from agent.sensing.rails import board_rails, total_w
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.thermal import plausible_c
from agent.sensing.zones import split_zones

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
    """Returns the present values of a started client; values that the board does not report are left out.

    Raises:
        KeyError: it has none of the tables, as with another version of the service.
    """
    power, gpu, temps, fan = (_read(client, name) for name in ("power", "gpu", "temperature", "fan"))
    if power is None and gpu is None and temps is None:
        raise KeyError("it reports no power, GPU or temperature")
    rails_w = _rails_w(_table(power))
    temps_c, part_temps_c = split_zones(
        {
            name: temp_c
            for name, zone in _table(temps).items()
            if _table(zone).get("online", True)
            and (temp_c := plausible_c(_number(_table(zone).get("temp")), 1.0)) is not None
        }
    )
    speeds = [speed for one in _table(fan).values() for speed in _numbers(_table(one).get("speed"))]
    return Sample(
        power_w=total_w(rails_w, rails or board_rails(rails_w)),
        rails_w=rails_w,
        gpu_load=_gpu_load(_table(gpu)),
        temps_c=temps_c,
        part_temps_c=part_temps_c,
        power_mode=_power_mode(client),
        fan_ratio=ratio(max(speeds, default=None), 100.0),
    )


def _read(client: Any, name: str) -> Any:
    """One of the client's tables; None if this version or board does not have it."""
    try:
        return getattr(client, name)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _rails_w(power: Mapping[str, Any]) -> dict[str, float]:
    rails = dict(_table(power.get("rail")))
    total = _table(power.get("tot"))
    if isinstance(total.get("name"), str):
        rails[total["name"]] = total
    return {
        name: milliwatts / 1e3
        for name, rail in rails.items()
        if _table(rail).get("online", True) and (milliwatts := _milliwatts(_table(rail))) is not None
    }


def _milliwatts(rail: Mapping[str, Any]) -> float | None:
    power_mw = _number(rail.get("power"))
    if power_mw is None:
        volts, amperes = _number(rail.get("volt")), _number(rail.get("curr"))
        power_mw = None if volts is None or amperes is None else volts * amperes / 1e3
    return power_mw


def _gpu_load(gpus: Mapping[str, Any]) -> float | None:
    """Load of the GPU on the chip; None if it is off or its load is not known."""
    for name, gpu in gpus.items():
        known = _table(gpu)
        by_nvml = known.get("power_control") == "nvml" and "thor" not in str(name).lower()
        if known.get("type", "integrated") == "integrated" and not by_nvml:
            return ratio(_number(_table(known.get("status")).get("load")), 100.0)
    return None


def _power_mode(client: Any) -> str | None:
    mode = _read(client, "nvpmodel")
    if mode is None or isinstance(mode, str):
        return mode or None
    name = _read(mode, "name")
    return name if isinstance(name, str) and name else None


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
