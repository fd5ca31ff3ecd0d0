"""A smart plug measures the board: messages over a real broker, their errors and age, joules of an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import paho.mqtt.publish as publish
import pytest

from agent.config.yaml_file import ConfigError
from agent.messages.mqtt_options import MqttOptions
from agent.profile.loading import load_profile
from agent.profile.profile import Profile
from agent.sensing.call_energy import CallEnergyMeter
from agent.sensing.plug import Plug, plug_of
from agent.sensing.plug_message import MAX_BYTES, BadPlugMessage, power_w
from agent.sensing.sample import Sample, SensorFault
from agent.sensing.sensing import Sensing
from agent.sensing.sensors import all_sensors
from inarvl.door import Door

TOPIC = "shellyplusplugs-c049ef/status/switch:0"
SHELLY = b'{"id":0,"source":"init","output":true,"apower":11.8,"voltage":232.1,"current":0.085}'
TASMOTA = (
    b'{"Time":"2026-11-30T08:00:00","ENERGY":{"TotalStartTime":"2025-01-01T00:00:00","Total":1.956,'
    b'"Power":9,"ApparentPower":21,"Factor":0.43,"Voltage":231,"Current":0.089}}'
)


@pytest.mark.parametrize(
    ("payload", "watts"),
    [
        (SHELLY, 11.8),
        (b'{"src":"x","method":"NotifyStatus","params":{"ts":1.0,"switch:0":{"id":0,"apower":7.5}}}', 7.5),
        (b'{"id":0,"voltage":230,"act_power":12.5}', 12.5),
        (b'{"params":{"pm1:0":{"id":0,"apower":3.25}}}', 3.25),
        (TASMOTA, 9.0),
        (b'{"StatusSNS":{"Time":"x","ENERGY":{"Power":14}}}', 14.0),
        (b'{"sn":{"Time":"x","ENERGY":{"Power":14.5}},"ver":1}', 14.5),
        (b'{"linkquality":90,"power":17.2,"state":"ON"}', 17.2),
        (b"12.34", 12.34),
        (b" 0 ", 0.0),
    ],
)
def test_the_power_is_read_from_the_messages_of_known_plugs(payload: bytes, watts: float) -> None:
    assert power_w(payload) == watts


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not JSON"),
        (b"on", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[12]", "not an object"),
        (b"true", "not an object"),
        (b'{"id":0,"output":true}', "expected apower (Shelly) or ENERGY.Power (Tasmota)"),
        (b'{"params":{"switch:0":{"apower":1},"switch:1":{"apower":2}}}', "2 of several channels"),
        (b'{"ENERGY":{"Power":[3,4]}}', "2 channels"),
        (b'{"ENERGY":{"Total":3}}', "expected apower"),
        (b'{"apower":"12 W"}', "not a number"),
        (b'{"apower":true}', "not a number"),
        (b'{"apower":null}', "not a number"),
        (b'{"apower":-3}', "the right way round"),
        (b'{"apower":2300}', "only this board"),
        (b"NaN", "finite"),
        (b'{"apower":1e999}', "finite"),
        (b"1" * 400, "finite"),
        (b" " * (MAX_BYTES + 1), "bytes"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_another_message_is_refused_with_what_to_do(payload: bytes, words: str) -> None:
    with pytest.raises(BadPlugMessage, match="(?i)" + words.replace("(", "\\(").replace(")", "\\)")):
        power_w(payload)


@pytest.mark.parametrize("source", ["mqtt:", "TOPIC", "mqtt:a/+/b", "mqtt:#", "http://plug", "mqtt:a\0b"])
def test_a_source_that_is_not_a_topic_is_an_error_in_the_profile(tmp_path: Path, source: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"name: p\nextends: raspberry-pi-5\npower: {{source: {json.dumps(source)}}}\n")
    with pytest.raises(ConfigError, match=r"power\.source"):
        load_profile(str(path))


@pytest.fixture
def connected(broker: Any) -> Iterator[Callable[..., Plug]]:
    """Returns a function that creates plugs which are connected to a real broker, and closes them."""
    plugs = []

    def create(**options: Any) -> Plug:
        plug = Plug(MqttOptions("127.0.0.1", broker.port, "agent"), TOPIC, max_age_s=30.0, **options)
        plugs.append(plug)
        return plug

    yield create
    for plug in plugs:
        plug.close()


def send(broker: Any, payload: bytes, *, retain: bool = False) -> None:
    publish.single(TOPIC, payload, port=broker.port, hostname="127.0.0.1", qos=1, retain=retain)


def first_sample(plug: Plug, broker: Any, payload: bytes) -> Sample:
    """Sends a message until the plug is subscribed and has it."""
    for _ in range(200):
        try:
            return plug.sample()
        except SensorFault:
            send(broker, payload)
    raise AssertionError("no message arrives")


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sensing.plug.FIRST_MESSAGE_S", 0.2)


@pytest.mark.parametrize(("payload", "watts"), [(SHELLY, 11.8), (TASMOTA, 9.0)], ids=["Shelly", "Tasmota"])
def test_a_plug_measures_the_power_of_the_board(
    connected: Callable[..., Plug], broker: Any, payload: bytes, watts: float
) -> None:
    plug = connected()
    sample = first_sample(plug, broker, payload)
    assert (sample.power_w, dict(sample.rails_w)) == (watts, {"plug": watts})


def test_a_retained_message_is_not_a_measurement(connected: Callable[..., Plug], broker: Any) -> None:
    send(broker, SHELLY, retain=True)
    plug = connected()
    for _ in range(100):
        with pytest.raises(SensorFault) as raised:
            plug.sample()
        if "retained" in str(raised.value):
            break
    assert "whose age is unknown" in str(raised.value)


def test_without_a_message_the_fault_says_how_to_make_the_plug_publish(
    connected: Callable[..., Plug],
) -> None:
    plug = connected()
    for _ in range(100):
        with pytest.raises(SensorFault) as raised:
            plug.sample()
        if "there is no message" in str(raised.value):
            break
    assert "TelePeriod" in str(raised.value)
    assert TOPIC in str(raised.value)


def test_an_unknown_message_is_a_fault_that_says_what_it_has(
    connected: Callable[..., Plug], broker: Any
) -> None:
    door = Door("messages of the plug")
    plug = connected(door=door)
    for _ in range(200):
        with pytest.raises(SensorFault):
            plug.sample()
        if door.dropped:
            break
        send(broker, b'{"output":true,"temperature":31}')
    with pytest.raises(SensorFault, match="only output, temperature: expected apower"):
        plug.sample()


def test_a_broker_that_is_away_is_a_fault_until_it_returns(
    connected: Callable[..., Plug], broker: Any
) -> None:
    broker.kill()
    plug = connected()
    with pytest.raises(SensorFault, match=r"no power from .*broker"):
        plug.sample()
    broker.start()
    assert first_sample(plug, broker, SHELLY).power_w == 11.8


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Offline(Plug):
    """A plug whose messages a test passes directly."""

    def _start(self) -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)


def test_a_message_is_a_sample_once_and_too_old_after_its_time() -> None:
    clock = Clock()
    plug = Offline(MqttOptions("x"), TOPIC, max_age_s=30.0, clock=clock)
    plug.receive(SHELLY)
    assert plug.sample().power_w == 11.8
    clock.now += 29
    assert plug.sample() == Sample()
    clock.now += 2
    with pytest.raises(SensorFault, match="31 s old: is the plug online"):
        plug.sample()
    plug.receive(SHELLY)
    assert plug.sample().power_w == 11.8


def test_the_resolution_is_the_usual_time_between_messages() -> None:
    clock = Clock()
    plug = Offline(MqttOptions("x"), TOPIC, max_age_s=60.0, clock=clock)
    for _ in range(40):
        plug.receive(SHELLY)
        clock.now += 10.0
    assert plug.resolution_s() == pytest.approx(10.0, rel=0.01)


def profile(**power: Any) -> Profile:
    base = load_profile("raspberry-pi-5")
    return base.model_copy(update={"power": base.power.model_copy(update={"idle_w": 4.0, **power})})


def test_a_profile_without_a_source_has_no_plug() -> None:
    assert plug_of(profile(), MqttOptions("x")) is None
    plug = plug_of(profile(source=f"mqtt:{TOPIC}", max_age_s=12.0), MqttOptions("x", client_id="a"))
    assert plug is not None
    assert plug.max_age_s == 12.0


@pytest.mark.anyio
async def test_the_joules_of_a_long_answer_are_measured_with_a_plug(tmp_path: Path) -> None:
    """The plug reports 4 W at rest and 10 W during an answer of 20 s, once a second: 120 J above idle."""
    clock = Clock()
    plug = Offline(MqttOptions("x"), TOPIC, max_age_s=30.0, clock=clock)
    sensors = all_sensors(power_s=0.2, sense_s=1.0, plug=plug, root=tmp_path)
    assert sensors[0].sensor is plug
    own = profile(source=f"mqtt:{TOPIC}")
    sensing = Sensing.from_profile(own, sensors[:1], plug=plug)
    sensing._clock = clock
    meter = CallEnergyMeter.from_profile(own, sensing)

    async def run(seconds: int, watts: float) -> None:
        for _ in range(seconds):
            clock.now += 1.0
            plug.receive(str(watts).encode())
            await sensing.sample(sensors[0])

    await run(30, 4.0)
    async with meter.over("local") as energy:
        await run(20, 10.0)
    assert energy.joules == pytest.approx(120.0)
    async with meter.over("local") as short:
        clock.now += 0.3
    assert short.joules is None, "shorter than the time between two messages: modelled"
