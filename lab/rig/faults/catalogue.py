"""The faults that are injected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from lab.errors import BenchError
from lab.rig.faults import hostile
from lab.rig.faults.attacks import idle_connections, image_bombs, poison_query, poison_reply
from lab.rig.faults.injector import FaultInjector

MULTICAST_OUTAGE_S = 150.0  # longer than the TTL of an announced address, which is two minutes
MORE_THREADS = 3  # that other work may need for a moment

Injection = Callable[[FaultInjector], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """A fault, and what a deployment needs for it.

    Attributes:
        inject: Injects the fault, and returns when it is reverted.
        fake_clock: It needs libfaketime.
        real_edge: The board has the bundled model instead of a mock; the cloud is a slow mock then.
        announced: The agent finds the cloud peer by zeroconf.
        dated: The queries say when they were asked.
        poisoned: The agent is killed by one question.
        kills_broker: The broker must write every change to the disk immediately, which makes it slow.
    """

    name: str
    inject: Injection
    fake_clock: bool = False
    real_edge: bool = False
    announced: bool = False
    dated: bool = False
    kills_broker: bool = False
    poisoned: bool = False


async def no_fault(injector: FaultInjector) -> None:
    """Injects nothing, for comparison."""
    await anyio.sleep(10)


async def broker_killed(injector: FaultInjector) -> None:
    """Kills the broker three times and restarts it after a short time."""
    for _ in range(3):
        await anyio.sleep(injector.rng.uniform(2, 4))
        injector.deployment.broker.kill()
        await anyio.sleep(injector.rng.uniform(0.5, 3))
        await injector.restart_broker()
    await anyio.sleep(5)


async def broker_slow(injector: FaultInjector) -> None:
    """Stops the broker for four fifths of the time."""
    for _ in range(12):
        injector.pause(injector.deployment.broker.pid, on=True)
        await anyio.sleep(1.6)
        injector.pause(injector.deployment.broker.pid, on=False)
        await anyio.sleep(0.4)


async def cloud_killed(injector: FaultInjector) -> None:
    """Kills the cloud peer five times while it is answering."""
    for _ in range(5):
        await anyio.sleep(injector.rng.uniform(1, 3))
        await injector.wait_cloud_answering()
        injector.deployment.kill("cloud")
        await anyio.sleep(injector.rng.uniform(0.2, 2))
        await injector.restart("cloud")
    await anyio.sleep(3)


async def half_open(injector: FaultInjector) -> None:
    """Twice, drops all packets of open TCP connections; new connections work."""
    for _ in range(2):
        await anyio.sleep(4)
        injector.link.set(frozen=True)
        await anyio.sleep(12)
        injector.link.set(frozen=False)


def outage(seconds: float) -> Injection:
    """Returns the injection that drops all packets for `seconds`."""

    async def inject(injector: FaultInjector) -> None:
        await anyio.sleep(4)
        injector.link.set(up=False)
        await anyio.sleep(seconds)
        injector.link.set(up=True)
        await anyio.sleep(10)

    return inject


async def loss(injector: FaultInjector) -> None:
    """Drops one packet in five."""
    injector.link.set(loss=0.2)
    await anyio.sleep(30)
    injector.link.set(loss=0.0)
    await anyio.sleep(5)


async def delay(injector: FaultInjector) -> None:
    """Delays every packet by two seconds."""
    injector.link.set(delay_ms=2000.0)
    await anyio.sleep(30)
    injector.link.set(delay_ms=1.0)
    await anyio.sleep(5)


async def dns_silent(injector: FaultInjector) -> None:
    """Silences the DNS server, and restarts the broker so that its name must be resolved again."""
    await anyio.sleep(3)
    injector.dns.silent = True
    await anyio.sleep(5)
    injector.deployment.broker.kill()
    await injector.restart_broker()
    await anyio.sleep(15)
    injector.dns.silent = False
    await anyio.sleep(5)


def multicast_silent(seconds: float) -> Injection:
    """Returns the injection that drops multicast packets.

    After `seconds` the cloud peer is killed and restarted. Multicast then works again, and the peer says
    goodbye and is announced again.
    """

    async def inject(injector: FaultInjector) -> None:
        await injector.wait_cloud_state("healthy")
        injector.link.set(multicast=False)
        await anyio.sleep(seconds)
        await injector.wait_cloud_state("healthy")
        injector.deployment.kill("cloud")
        await injector.wait_cloud_state("unhealthy")
        await injector.restart("cloud")
        await injector.wait_cloud_state("healthy")
        injector.link.set(multicast=True)
        await anyio.sleep(5)
        await injector.wait_cloud_state("healthy")
        injector.deployment.stop("announcer")
        await injector.wait_cloud_state("gone")
        await injector.restart("announcer")
        await injector.wait_cloud_state("healthy")

    return inject


async def clock_jumps(injector: FaultInjector) -> None:
    """Shifts the wall clock by an hour in both directions, and kills the agent after each shift."""
    for shift in ("+3600", "-3600", "+0"):
        await anyio.sleep(2)
        injector.set_clock(shift)
        await anyio.sleep(2)
        injector.deployment.kill("agent")
        await injector.restart("agent")
    await anyio.sleep(3)


async def disk_full(injector: FaultInjector) -> None:
    """Fills the spool's disk."""
    await anyio.sleep(3)
    with injector.full_disk():
        await anyio.sleep(12)
    await anyio.sleep(5)


async def spool_overwritten(injector: FaultInjector) -> None:
    """Overwrites half of the spool while the agent runs, and then kills the agent."""
    await anyio.sleep(3)
    injector.damage_spool()
    await anyio.sleep(5)
    injector.deployment.kill("agent")
    await injector.restart("agent")
    await anyio.sleep(3)


async def no_descriptors(injector: FaultInjector) -> None:
    """Leaves the agent no free file descriptor, and restarts the broker in that time."""
    await anyio.sleep(3)
    with injector.no_descriptors():
        await anyio.sleep(4)
        injector.deployment.broker.kill()
        await injector.restart_broker()
        await anyio.sleep(8)
    await anyio.sleep(5)


async def sensors_stall(injector: FaultInjector) -> None:
    """Makes reading the memory, and then the load, block."""
    await anyio.sleep(3)
    for path in ("/proc/meminfo", "/proc/stat"):
        with injector.stalled(path):
            await anyio.sleep(12)
    await anyio.sleep(3)


async def sensor_hangs(injector: FaultInjector) -> None:
    """Makes reading the memory block for over a minute, in which the agent must not get more threads."""
    await anyio.sleep(3)
    with injector.stalled("/proc/meminfo"):
        await anyio.sleep(15)
        before = injector.agent.num_threads()
        await anyio.sleep(60)
        if (after := injector.agent.num_threads()) > before + MORE_THREADS:
            raise BenchError(f"the agent has {after} threads, {before} a minute ago: see its log")
    await anyio.sleep(3)


async def late_interface(injector: FaultInjector) -> None:
    """Starts the agent without a network; its interface comes up 10 s later."""
    await injector.wait_cloud_state("healthy")
    injector.deployment.kill("agent")
    injector.link.set_board_interface(up=False)
    await injector.restart("agent")
    await anyio.sleep(10)
    injector.link.set_board_interface(up=True)
    await injector.wait_cloud_state("healthy")
    await anyio.sleep(5)


async def name_taken(injector: FaultInjector) -> None:
    """Three times, connects another client with the agent's name for a short time."""
    for _ in range(3):
        await anyio.sleep(12)
        async with injector.rival():
            await anyio.sleep(2.5)
    await anyio.sleep(5)


async def model_killed(injector: FaultInjector) -> None:
    """Kills the board's real model server three times while it generates."""
    for _ in range(3):
        await anyio.sleep(injector.rng.uniform(2, 5))
        await injector.wait_computing("edge")
        injector.deployment.kill("edge")
        await injector.restart("edge")
    await anyio.sleep(5)


def agent_killed(times: int) -> Injection:
    """Returns the injection that kills the agent at random times, also while it starts."""

    async def inject(injector: FaultInjector) -> None:
        await anyio.sleep(2)
        for _ in range(times):
            injector.deployment.kill("agent")
            injector.deployment.start("agent")
            if injector.rng.random() < 0.85:
                await injector.wait_ready("agent")
            await anyio.sleep(injector.rng.uniform(0, 1.5))
        injector.deployment.kill("agent")
        await injector.restart("agent")

    return inject


def catalogue(kills: int, longest_s: float) -> tuple[Fault, ...]:
    """Returns all faults.

    Args:
        kills: How often the agent is killed.
        longest_s: Upper limit of the link's outages.
    """
    outages = [s for s in (0.5, 5.0, 30.0, 300.0) if s <= longest_s]
    return (
        Fault("none", no_fault),
        Fault("broker killed 3 times", broker_killed, kills_broker=True),
        Fault("broker runs 1/5 of the time", broker_slow),
        Fault("cloud peer killed mid-answer, 5 times", cloud_killed),
        Fault("half-open TCP, twice", half_open),
        *(Fault(f"link out for {seconds:g} s", outage(seconds)) for seconds in outages),
        *(
            Fault(f"link out for {seconds:g} s, dated queries", outage(seconds), dated=True)
            for seconds in outages[-1:]
        ),
        Fault("interface up 10 s after the agent", late_interface, announced=True),
        Fault("20% packet loss", loss),
        Fault("2 s delay", delay),
        Fault("DNS silent", dns_silent, kills_broker=True),
        Fault(
            f"multicast silent for {MULTICAST_OUTAGE_S:g} s",
            multicast_silent(MULTICAST_OUTAGE_S),
            announced=True,
        ),
        Fault("clock jumps of 1 h", clock_jumps, fake_clock=True),
        Fault("disk full", disk_full),
        Fault("spool overwritten", spool_overwritten),
        Fault("out of file descriptors", no_descriptors, kills_broker=True),
        Fault("sensors stall", sensors_stall),
        Fault("sensor hangs", sensor_hangs),
        Fault("name taken 3 times", name_taken),
        Fault("model server killed mid-generation, 3 times", model_killed, real_edge=True),
        Fault("hostile feedback", hostile.hostile_feedback),
        Fault("hostile record", hostile.hostile_record),
        Fault("hostile peer", hostile.hostile_peer),
        Fault("refusing peer", hostile.refusing_peer),
        Fault(f"agent killed {kills} times", agent_killed(kills)),
        Fault("image bombs, 64", image_bombs),
        Fault("query that kills the agent", poison_query, poisoned=True),
        Fault("reply at which the broker disconnects", poison_reply),
        Fault("1000 idle connections to the model server", idle_connections, real_edge=True),
    )
