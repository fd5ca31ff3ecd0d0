"""Runs one fault on a new deployment under load, and counts the outcome of every query."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np

from inarvl.errors import InarvlError
from lab.rig.deployment import AGENT, Deployment, MockTimes, NetworkLayout, program
from lab.rig.faults.catalogue import Fault
from lab.rig.faults.dns_server import DnsServer
from lab.rig.faults.injector import FaultInjector, fake_clock_prefix, small_disk
from lab.rig.faults.network_namespace import EmulatedLink, emulated_link
from lab.rig.load.generator import LoadGenerator, SentQuery, Workload
from lab.rig.load.load_tests import load_generator
from lab.rig.load.statistics import QueryStatistics

DEADLINE_MS = 30_000.0
SILENCE_S = 90.0
SECOND_REPLY_S = 2.0
BROKER_NAME, BROKER_PORT, CLOUD_PORT = "broker.inarvl.test", 18_830, 18_020
POISONED_AGENT = "lab.rig.faults.poisoned_agent"
REAL_EDGE = ("serve", "--threads", "1", "--model", "bundled:inarvl-edge-swift", "--quantization", "none")


@dataclass(frozen=True)
class FaultResult:
    """Outcomes of the queries that the broker acknowledged while a fault was injected.

    Attributes:
        lost: Queries without a reply after no query got its first reply for SILENCE_S.
        duplicated: Replies that differ from the first reply to the same query.
        repeats: Copies of a reply, equal except for `resent`.
        longest_gap_s: The longest time without a first reply while queries were open.
        median_ms: Median time from query to answer.
    """

    fault: str
    sent: int
    answered: int
    errors: int
    lost: int
    duplicated: int
    repeats: int
    longest_gap_s: float
    error_codes: str
    median_ms: float | None = None


async def run_fault(fault: Fault, rate: float, seed: int, keep: Path | None = None) -> FaultResult:
    """Runs one fault under `rate` queries per second.

    Args:
        keep: A folder for a copy of all that the deployment wrote.

    Raises:
        BenchError, ServiceFailed, BrokerFailed: The deployment did not reach a state that the fault needs.
    """
    rng = np.random.default_rng(seed)
    with _injector(fault, rng, keep) as injector:
        generator = load_generator(injector.deployment, rng)
        queries: list[SentQuery] = []
        failure: InarvlError | None = None
        async with generator.connected(), anyio.create_task_group() as tasks:
            tasks.start_soon(_send, generator, Workload(rate, (DEADLINE_MS,), dated=fault.dated), queries)
            try:
                await fault.inject(injector)
            except InarvlError as error:  # raised below, because a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return _result(fault, _acknowledged(queries))


async def _send(generator: LoadGenerator, workload: Workload, queries: list[SentQuery]) -> None:
    """Sends until it is cancelled, and then waits for the replies."""
    try:
        async for query in generator.send(workload):
            queries.append(query)
    finally:
        with anyio.CancelScope(shield=True):
            await generator.wait_for_replies(_acknowledged(queries), silence_s=SILENCE_S)
            await anyio.sleep(SECOND_REPLY_S)


def _acknowledged(queries: list[SentQuery]) -> list[SentQuery]:
    return [query for query in queries if query.acked_at is not None]


def _result(fault: Fault, queries: list[SentQuery]) -> FaultResult:
    statistics = QueryStatistics.of(queries)
    median_ms = statistics.latency_ms_quantile(0.5)
    codes = {code: n for code, n in statistics.outcomes.items() if code not in ("answer", "none")}
    return FaultResult(
        fault=fault.name,
        sent=statistics.sent,
        answered=statistics.answered,
        errors=statistics.errors,
        lost=statistics.lost,
        duplicated=statistics.different_replies,
        repeats=statistics.repeats,
        longest_gap_s=round(longest_gap_s(queries), 2),
        error_codes=" ".join(f"{code}:{n}" for code, n in sorted(codes.items())),
        median_ms=None if median_ms is None else round(median_ms, 1),
    )


def longest_gap_s(queries: list[SentQuery]) -> float:
    """Returns the longest time without a first reply while a query was open."""
    events = sorted(
        [(query.sent_at, 1) for query in queries if query.replies]
        + [(query.replies[0][0], -1) for query in queries if query.replies]
    )
    longest, open_queries, since = 0.0, 0, 0.0
    for at, change in events:
        if change < 0:
            longest, since = max(longest, at - since), at
        elif open_queries == 0:
            since = at
        open_queries += change
    return longest


@contextmanager
def _injector(fault: Fault, rng: np.random.Generator, keep: Path | None) -> Iterator[FaultInjector]:
    """Starts a deployment for a fault."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inarvl-faults-")))
        link = stack.enter_context(emulated_link(int(rng.integers(2**31))))
        stack.enter_context(small_disk(folder / "state"))
        dns = DnsServer(link.host_address, link.host_address)
        stack.callback(dns.close)
        stack.enter_context(_resolver(link))
        clock = fake_clock_prefix(folder) if fault.fake_clock else ()
        deployment = Deployment(
            folder,
            NetworkLayout(link.host_address, (*link.board_prefix, *clock), BROKER_PORT, CLOUD_PORT),
            MockTimes(cloud_ms=800.0, cloud_slots=4)
            if fault.real_edge
            else MockTimes(edge_ms=40.0, cloud_ms=60.0),
            settings={
                "broker": {"url": f"mqtt://{BROKER_NAME}:{BROKER_PORT}", "keepalive_s": 5},
                "intake": {"max_spool_mb": 8},
            },
            edge_command=(*program("vlm.cli"), *REAL_EDGE) if fault.real_edge else None,
            agent_module=POISONED_AGENT if fault.poisoned else AGENT,
            durable=fault.kills_broker,
            announced=fault.announced,
        )
        if keep is not None:
            stack.callback(_copy, folder, keep / fault.name.replace(" ", "-"))
        stack.callback(deployment.stop_all)
        deployment.start_all()
        yield FaultInjector(deployment, link, rng, dns)


def _copy(folder: Path, target: Path) -> None:
    """Copies a folder without its sockets."""

    def sockets(within: str, names: list[str]) -> list[str]:
        return [name for name in names if not (file := Path(within) / name).is_dir() and not file.is_file()]

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=sockets)


@contextmanager
def _resolver(link: EmulatedLink) -> Iterator[None]:
    """Makes programs in the namespace use the DNS server at the host's address."""
    folder = Path("/etc/netns") / link.namespace
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text(f"nameserver {link.host_address}\noptions timeout:2 attempts:1\n")
    try:
        yield
    finally:
        (folder / "resolv.conf").unlink()
        folder.rmdir()
        with suppress(OSError):
            folder.parent.rmdir()
