"""The values of jtop are read, and each of its errors is reported with a remedy.

The client is a fake, since the tests do not run on a Jetson; its tables have the shape of jetson-stats 7.2.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from agent.sensing.jtop import Jtop, read
from agent.sensing.sample import Sample, SensorAbsent, SensorFault


class Table:
    """One of jtop's tables: not a dict, but with the methods of one."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self._rows = rows

    def items(self) -> Any:
        return self._rows.items()


class Client:
    """A client that has been started."""

    def __init__(self, **changed: Any) -> None:
        self.power: Any = {
            "rail": {
                "VDD_CPU_GPU_CV": {"volt": 4984, "curr": 240, "power": 1196, "avg": 1190, "online": True},
                "VDD_SOC": {"volt": 4976, "curr": 296, "power": 1472, "avg": 1470, "online": True},
            },
            "tot": {"volt": 4984, "curr": 1120, "power": 5582, "avg": 5580, "name": "VDD_IN"},
        }
        self.gpu: Any = Table(
            {"gpu": {"type": "integrated", "status": {"load": 37.2}, "freq": {"cur": 306000, "max": 624750}}}
        )
        self.temperature: Any = {
            "cpu": {"temp": 48.656, "online": True},
            "cv0": {"temp": -256.0, "online": False},
            "tj": {"temp": 49.468, "online": True},
        }
        self.fan: Any = Table({"pwmfan": {"speed": [40.0], "rpm": [1800], "profile": "quiet"}})
        self.nvpmodel: Any = SimpleNamespace(name="15W", id=0)
        self.closed = False
        self.connected = True
        vars(self).update(changed)

    def ok(self, *, spin: bool) -> bool:
        assert spin, "waiting for the next sample would delay the other sensors"
        return self.connected

    def close(self) -> None:
        self.closed = True


def sensor(connect: Any) -> Jtop:
    return Jtop(connect, present=lambda: True, interval_s=1.0)


def fault(jtop: Jtop) -> str:
    with pytest.raises(SensorFault) as raised:
        jtop.sample()
    return str(raised.value)


def test_all_values_of_the_service_are_read() -> None:
    assert read(Client()) == Sample(
        power_w=5.582,
        rails_w={"VDD_CPU_GPU_CV": 1.196, "VDD_SOC": 1.472, "VDD_IN": 5.582},
        gpu_load=pytest.approx(0.372),
        temps_c={"cpu": 48.656, "tj": 49.468},
        power_mode="15W",
        fan_ratio=0.4,
    )


def test_a_profile_may_name_the_rails_to_add_up() -> None:
    assert read(Client(), ("VDD_SOC",)).power_w == 1.472


@pytest.mark.parametrize(
    "power", [{}, {"rail": {}, "tot": {"power": 0, "avg": 0}}], ids=["no table", "no rail"]
)
def test_a_board_without_power_sensors_has_no_power_rather_than_0(power: dict[str, Any]) -> None:
    sample = read(Client(power=power))
    assert (sample.power_w, dict(sample.rails_w)) == (None, {})


def test_a_board_without_gpu_fan_or_power_modes_has_no_values_for_them() -> None:
    sample = read(Client(gpu=Table({}), fan=Table({}), nvpmodel=None, temperature={}))
    assert (sample.gpu_load, sample.fan_ratio, sample.power_mode, sample.temps_c) == (None, None, None, {})


def test_jtop_is_imported_only_on_a_jetson() -> None:
    def connect(_interval_s: float) -> Any:
        raise AssertionError("must not be called")

    with pytest.raises(SensorAbsent):
        Jtop(connect, present=lambda: False, interval_s=1.0).sample()


class JtopException(Exception):
    """Has the shape of jtop's exception of that name."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "")
        self.message = message


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            JtopException("The jtop.service is not active. Please run:\nsudo jtop --install-service"),
            "systemctl",
        ),
        (
            JtopException("I can't access jtop.service.\nPlease logout or reboot this board."),
            "usermod -aG jtop",
        ),
        (
            JtopException("Mismatch version jtop service: [7.2.2] and client: [4.3.0]. Please run:\n"),
            "pip install jetson-stats==",
        ),
        (JtopException("Mismatch of Python versions between library and service"), "with the Python"),
        (JtopException("Authentication with jetson-stats server failed"), "systemctl status jtop"),
        (EOFError(), "EOFError"),
        (KeyError("init"), "init"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_each_error_of_the_service_is_a_fault_with_a_remedy(error: Exception, remedy: str) -> None:
    def connect(_interval_s: float) -> Any:
        raise error

    assert remedy in fault(sensor(connect))


def test_the_sensor_reconnects_after_the_service_stopped() -> None:
    clients = [Client(), Client()]
    connections = iter(clients)
    jtop = sensor(lambda _interval_s: next(connections))
    jtop.sample()
    clients[0].connected = False
    assert "the service closed the connection" in fault(jtop)
    assert clients[0].closed
    assert jtop.sample().power_w == 5.582


def test_a_client_of_another_version_without_any_table_is_a_fault() -> None:
    client = Client()
    for name in ("gpu", "power", "temperature"):
        delattr(client, name)
    assert "jtop cannot be read" in fault(sensor(lambda _interval_s: client))


@pytest.mark.parametrize("table", ["power", "gpu", "temperature", "fan", "nvpmodel"])
@pytest.mark.parametrize("value", [None, "missing", [], 7, {}, {"x": None}, {"x": {"status": 3}}], ids=str)
def test_a_table_that_is_missing_or_has_another_form_leaves_the_others(table: str, value: Any) -> None:
    client = Client()
    if value == "missing":
        delattr(client, table)
    else:
        setattr(client, table, value)
    sample = read(client)
    read_tables = {
        "power": sample.power_w is not None,
        "gpu": sample.gpu_load is not None,
        "temperature": bool(sample.temps_c),
        "fan": sample.fan_ratio is not None,
        "nvpmodel": sample.power_mode == "15W",
    }
    assert read_tables == {name: name != table for name in read_tables}


class Broken:
    """A client whose tables raise what jtop's do while the service starts: KeyError."""

    power: ClassVar[dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


def test_a_value_that_the_service_has_not_sent_yet_is_left_out() -> None:
    assert read(Broken()) == Sample()


AGX_ORIN_MW = {"VDD_GPU_SOC": 4796, "VDD_CPU_CV": 1599, "VIN_SYS_5V0": 3741, "VDDQ_VDD2_1V8AO": 708}


@pytest.mark.parametrize(
    ("rails_mw", "total_mw", "power_w"),
    [
        # jtop 4.3 adds the USB-C supply and a rail that another one contains: 70.8 W
        ({**AGX_ORIN_MW, "ucsi-source-psy-USBC000:001": 60_000}, 70_844, 10.136),
        (AGX_ORIN_MW, 10_844, 10.136),
        ({"VDD_GPU": 0, "VDD_CPU_SOC_MSS": 6507, "VIN_SYS_5V0": 6517}, 13_024, 13.024),
        ({"GPU": 1000, "CPU": 2000, "SOC": 3000, "CV": 0, "VDDRQ": 500, "SYS5V": 2500}, 9000, 9.0),
    ],
)
def test_the_power_of_a_board_without_an_input_rail_is_the_sum_of_its_own_rails(
    rails_mw: dict[str, float], total_mw: float, power_w: float
) -> None:
    client = Client()
    client.power = {
        "rail": {name: {"power": power, "online": True} for name, power in rails_mw.items()},
        "tot": {"power": total_mw, "avg": total_mw},
    }
    assert read(client).power_w == pytest.approx(power_w)


def test_a_rail_without_power_has_volts_and_amperes_and_one_that_is_offline_does_not_count() -> None:
    client = Client()
    client.power = {
        "rail": {
            "GPU": {"volt": 20_000, "curr": 500},
            "CPU": {"power": 3000, "online": False},
            "SOC": {"power": None},
        },
        "tot": {},
    }
    sample = read(client)
    assert (sample.power_w, dict(sample.rails_w)) == (10.0, {"GPU": 10.0})


@pytest.mark.parametrize(
    ("gpu", "load"),
    [
        ({"ga10b": {"type": "integrated", "status": {"load": 50.0}}}, 0.5),
        ({"RTX 6000": {"type": "discrete"}, "gv11b": {"type": "integrated", "status": {"load": 50.0}}}, 0.5),
        ({"gpu": {"type": "integrated", "status": {"railgate": True}}}, None),  # switched off
        ({"Orin (nvgpu)": {"type": "integrated", "power_control": "nvml", "status": {"load": 0.0}}}, None),
        ({"Thor": {"type": "integrated", "power_control": "nvml", "status": {"load": 80.0}}}, 0.8),
        ({}, None),
    ],
)
def test_the_load_is_that_of_the_gpu_on_the_chip(gpu: dict[str, Any], load: float | None) -> None:
    assert read(Client(gpu=gpu)).gpu_load == load


def test_a_disk_is_not_the_hottest_place_of_the_board() -> None:
    zones = {"cpu": 48.0, "tj": 49.0, "nvme Composite": 71.0, "Composite": 72.0, "iwlwifi": 60.0}
    client = Client(temperature={name: {"temp": temp, "online": True} for name, temp in zones.items()})
    sample = read(client)
    assert sample.temps_c == {"cpu": 48.0, "tj": 49.0}
    assert sample.part_temps_c == {"nvme Composite": 71.0, "Composite": 72.0, "iwlwifi": 60.0}
