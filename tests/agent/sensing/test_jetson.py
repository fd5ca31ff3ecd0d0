"""Everything jtop tells is read, and whatever goes wrong with it is told with its remedy.

The client is a stand-in, since there is no Jetson here: its tables have the shape of those of jetson-stats
7.2.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.sensing.jetson import Jetson, read
from agent.sensing.sample import Sample, SensorAbsent, SensorFault


class Table:
    """jtop's tables are no dicts, but have their methods."""

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
        self.ended = False
        self.well = True
        vars(self).update(changed)

    def ok(self, *, spin: bool) -> bool:
        assert spin, "waiting for the next sample would hold up the others"
        return self.well

    def close(self) -> None:
        self.ended = True


def source(connect: Any) -> Jetson:
    return Jetson(connect, present=lambda: True, every_s=1.0)


def fault(jetson: Jetson) -> str:
    with pytest.raises(SensorFault) as raised:
        jetson.sample()
    return str(raised.value)


def test_all_that_the_service_tells_is_read() -> None:
    assert read(Client()) == Sample(
        power_w=5.582,
        rails_w={"VDD_CPU_GPU_CV": 1.196, "VDD_SOC": 1.472, "VDD_IN": 5.582},
        gpu_load=pytest.approx(0.372),
        temps_c={"cpu": 48.656, "tj": 49.468},
        power_mode="15W",
        fan_ratio=0.4,
    )


def test_a_total_that_is_a_sum_has_no_voltage_of_its_own() -> None:
    client = Client()
    client.power["tot"] = {"power": 2668, "avg": 2660}
    assert read(client).power_w == 2.668


def test_a_profile_may_name_the_rails_that_are_the_board() -> None:
    assert read(Client(), ("VDD_SOC",)).power_w == 1.472


@pytest.mark.parametrize(
    "power", [{}, {"rail": {}, "tot": {"power": 0, "avg": 0}}], ids=["no table", "no rail"]
)
def test_a_board_without_power_sensors_tells_none_rather_than_0(power: dict[str, Any]) -> None:
    sample = read(Client(power=power))
    assert (sample.power_w, dict(sample.rails_w)) == (None, {})


def test_a_board_without_gpu_fan_or_power_modes_leaves_them_out() -> None:
    sample = read(Client(gpu=Table({}), fan=Table({}), nvpmodel=None, temperature={}))
    assert (sample.gpu_load, sample.fan_ratio, sample.power_mode, sample.temps_c) == (None, None, None, {})


def test_elsewhere_than_on_a_jetson_it_is_not_even_imported() -> None:
    def connect(_every_s: float) -> Any:
        raise AssertionError("must not be called")

    with pytest.raises(SensorAbsent):
        Jetson(connect, present=lambda: False, every_s=1.0).sample()


class JtopException(Exception):
    """Of the shape of jtop's own."""

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
def test_a_service_that_does_not_answer_is_told_with_its_remedy(error: Exception, remedy: str) -> None:
    def connect(_every_s: float) -> Any:
        raise error

    assert remedy in fault(source(connect))


def test_a_service_that_goes_away_is_connected_to_anew() -> None:
    clients = [Client(), Client()]
    connections = iter(clients)
    jetson = source(lambda _every_s: next(connections))
    jetson.sample()
    clients[0].well = False
    assert "went away" in fault(jetson)
    assert clients[0].ended
    assert jetson.sample().power_w == 5.582


def test_a_client_of_another_version_that_lacks_a_table_is_told() -> None:
    client = Client()
    del client.gpu
    assert "jtop does not tell" in fault(source(lambda _every_s: client))
