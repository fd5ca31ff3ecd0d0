"""Every fault that is tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from lab.rig.faults.injector import Scene

SILENCE_S = 150.0  # over the two minutes that an announced address lives

Harm = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One way to harm a site.

    Attributes:
        harm: does it, and ends when all that it did has been taken back.
        wants_clock: it needs libfaketime.
        real_edge: the board's model must be the bundled one, not a stand-in; the cloud is a slow one then.
        announced: the cloud peer is found by zeroconf.
        kills_broker: the broker must write down all it holds at every change, which makes it slow.
    """

    name: str
    harm: Harm
    wants_clock: bool = False
    real_edge: bool = False
    announced: bool = False
    kills_broker: bool = False


async def nothing(scene: Scene) -> None:
    """A quiet time, to compare with."""
    await anyio.sleep(10)


async def broker_killed(scene: Scene) -> None:
    """Kill the broker three times, each time for a moment."""
    for _ in range(3):
        await anyio.sleep(scene.rng.uniform(2, 4))
        scene.site.kill_broker()
        await anyio.sleep(scene.rng.uniform(0.5, 3))
        await scene.restart_broker()
    await anyio.sleep(5)


async def broker_slow(scene: Scene) -> None:
    """Let the broker run for a fifth of the time only."""
    for _ in range(12):
        scene.pause(scene.site.broker_pid, on=True)
        await anyio.sleep(1.6)
        scene.pause(scene.site.broker_pid, on=False)
        await anyio.sleep(0.4)


async def cloud_killed(scene: Scene) -> None:
    """Kill the cloud peer five times in the middle of an answer."""
    for _ in range(5):
        await anyio.sleep(scene.rng.uniform(1, 3))
        await scene.answering()
        scene.site.kill("cloud")
        await anyio.sleep(scene.rng.uniform(0.2, 2))
        await scene.restart("cloud")
    await anyio.sleep(3)


async def half_open(scene: Scene) -> None:
    """Twice: connections that stand pass nothing any more, without a word; new ones work."""
    for _ in range(2):
        await anyio.sleep(4)
        scene.link.set(frozen=True)
        await anyio.sleep(12)
        scene.link.set(frozen=False)


def outage(seconds: float) -> Harm:
    """No packet passes for so long."""

    async def harm(scene: Scene) -> None:
        await anyio.sleep(4)
        scene.link.set(up=False)
        await anyio.sleep(seconds)
        scene.link.set(up=True)
        await anyio.sleep(10)

    return harm


async def loss(scene: Scene) -> None:
    """One packet in five is lost."""
    scene.link.set(loss=0.2)
    await anyio.sleep(30)
    scene.link.set(loss=0.0)
    await anyio.sleep(5)


async def delay(scene: Scene) -> None:
    """Every packet takes two seconds."""
    scene.link.set(delay_ms=2000.0)
    await anyio.sleep(30)
    scene.link.set(delay_ms=1.0)
    await anyio.sleep(5)


async def names_silent(scene: Scene) -> None:
    """The name server says nothing, and the broker must be found again meanwhile."""
    await anyio.sleep(3)
    scene.names.silent = True
    await anyio.sleep(5)
    scene.site.kill_broker()
    await scene.restart_broker()
    await anyio.sleep(15)
    scene.names.silent = False
    await anyio.sleep(5)


def multicast_silent(seconds: float) -> Harm:
    """No multicast passes for so long, in which the peer dies and comes back; then it leaves for good."""

    async def harm(scene: Scene) -> None:
        await scene.until_cloud("healthy")
        scene.link.set(multicast=False)
        await anyio.sleep(seconds)
        await scene.until_cloud("healthy")
        scene.site.kill("cloud")
        await scene.until_cloud("unhealthy")
        await scene.restart("cloud")
        await scene.until_cloud("healthy")
        scene.link.set(multicast=True)
        await anyio.sleep(5)
        await scene.until_cloud("healthy")
        scene.site.stop("announcer")
        await scene.until_cloud("gone")
        await scene.restart("announcer")
        await scene.until_cloud("healthy")

    return harm


async def clock_jumps(scene: Scene) -> None:
    """The wall clock jumps by an hour, both ways, with a killed agent in between."""
    for shift in ("+3600", "-3600", "+0"):
        await anyio.sleep(2)
        scene.set_clock(shift)
        await anyio.sleep(2)
        scene.site.kill("agent")
        await scene.restart("agent")
    await anyio.sleep(3)


async def disk_full(scene: Scene) -> None:
    """No room where the spool is."""
    await anyio.sleep(3)
    with scene.full_disk():
        await anyio.sleep(12)
    await anyio.sleep(5)


async def disk_damaged(scene: Scene) -> None:
    """Half of the spool is overwritten while the agent runs, which is then killed."""
    await anyio.sleep(3)
    scene.damage_spool()
    await anyio.sleep(5)
    scene.site.kill("agent")
    await scene.restart("agent")
    await anyio.sleep(3)


async def descriptors(scene: Scene) -> None:
    """No file descriptor is left, and the broker comes back meanwhile."""
    await anyio.sleep(3)
    with scene.no_descriptors():
        await anyio.sleep(4)
        scene.site.kill_broker()
        await scene.restart_broker()
        await anyio.sleep(8)
    await anyio.sleep(5)


async def sensors_stall(scene: Scene) -> None:
    """Reading the memory, the load or the temperature hangs."""
    await anyio.sleep(3)
    for path in ("/proc/meminfo", "/proc/stat"):
        with scene.stalled(path):
            await anyio.sleep(12)
    await anyio.sleep(3)


async def model_killed(scene: Scene) -> None:
    """The board's real model server is killed three times while it generates."""
    for _ in range(3):
        await anyio.sleep(scene.rng.uniform(2, 5))
        await scene.computing("edge")
        scene.site.kill("edge")
        await scene.restart("edge")
    await anyio.sleep(5)


def agent_killed(times: int) -> Harm:
    """Kill the agent at random instants of its life, its start included."""

    async def harm(scene: Scene) -> None:
        await anyio.sleep(2)
        for _ in range(times):
            scene.site.kill("agent")
            scene.site.start("agent")
            if scene.rng.random() < 0.85:
                await scene.ready("agent")
            await anyio.sleep(scene.rng.uniform(0, 1.5))
        scene.site.kill("agent")
        await scene.restart("agent")

    return harm


def catalogue(kills: int, longest_s: float) -> tuple[Fault, ...]:
    """All of them; the agent is killed `kills` times, outages last `longest_s` at most."""
    outages = [s for s in (0.5, 5.0, 30.0, 300.0) if s <= longest_s]
    return (
        Fault("none", nothing),
        Fault("broker killed 3 times", broker_killed, kills_broker=True),
        Fault("broker runs 1/5 of the time", broker_slow),
        Fault("cloud peer killed mid-answer, 5 times", cloud_killed),
        Fault("half-open TCP, twice", half_open),
        *(Fault(f"link out for {seconds:g} s", outage(seconds)) for seconds in outages),
        Fault("20% packet loss", loss),
        Fault("2 s delay", delay),
        Fault("DNS silent", names_silent, kills_broker=True),
        Fault(f"multicast silent for {SILENCE_S:g} s", multicast_silent(SILENCE_S), announced=True),
        Fault("clock jumps of 1 h", clock_jumps, wants_clock=True),
        Fault("disk full", disk_full),
        Fault("spool overwritten", disk_damaged),
        Fault("out of file descriptors", descriptors, kills_broker=True),
        Fault("sensors stall", sensors_stall),
        Fault("model server killed mid-generation, 3 times", model_killed, real_edge=True),
        Fault(f"agent killed {kills} times", agent_killed(kills)),
    )
