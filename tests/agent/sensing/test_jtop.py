"""The values of jtop are read, and each of its errors is reported with a remedy.

The client is a fake, since the tests do not run on a Jetson; its tables have the shape of jetson-stats 7.2.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

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


def test_a_total_that_is_a_sum_has_no_voltage() -> None:
    client = Client()
    client.power["tot"] = {"power": 2668, "avg": 2660}
    assert read(client).power_w == 2.668


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


def test_a_client_of_another_version_without_a_table_is_a_fault() -> None:
    client = Client()
    del client.gpu
    assert "jtop cannot be read" in fault(sensor(lambda _interval_s: client))
