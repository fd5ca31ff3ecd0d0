"""Runs faults one by one, each on a fresh site under load, and counts what became of every question."""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np

from inarvl.errors import InarvlError
from lab.rig.deployment import Layout, Pacing, Site
from lab.rig.faults.catalogue import Fault
from lab.rig.faults.dns_server import Names
from lab.rig.faults.injector import Scene, clock_words, small_disk
from lab.rig.faults.network_namespace import Link, emulated_link
from lab.rig.load.generator import Caller, Sent, Shape
from lab.rig.load.load_tests import caller_of
from lab.rig.load.statistics import Tally

DEADLINE_MS = 30_000.0
PATIENCE_S = 90.0
BROKER_NAME, BROKER_PORT, CLOUD_PORT = "broker.inarvl.test", 18_830, 18_020
REAL_EDGE = ("-c", "from vlm.cli import app; app()", "serve", "--threads", "1")
REAL_EDGE_MODEL = ("--model", "bundled:inarvl-edge-swift", "--quantization", "none")


@dataclass(frozen=True)
class Account:
    """What a fault did.

    Attributes:
        lost: questions that the broker took, with neither an answer nor an error PATIENCE_S after the last.
        duplicated: questions with two different replies.
        repeats: copies of a reply, the same but for its `resent` mark.
        longest_gap_s: the longest time without a reply while questions were open.
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


async def try_fault(fault: Fault, rate: float, seed: int, keep: Path | None = None) -> Account:
    """Run one fault under `rate` questions per second; the site's folder is copied into `keep`.

    Raises:
        BenchError, ServiceFailed: the site does not do what the fault needs.
    """
    rng = np.random.default_rng(seed)
    with _scene(fault, rng, keep) as scene:
        caller = caller_of(scene.site, rng)
        questions: list[Sent] = []
        failure: InarvlError | None = None
        async with caller.connected(), anyio.create_task_group() as tasks:
            tasks.start_soon(_ask, caller, Shape(rate, (DEADLINE_MS,)), questions)
            try:
                await fault.harm(scene)
            except InarvlError as error:  # raised below, since a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return _account(fault, questions)


async def _ask(caller: Caller, shape: Shape, questions: list[Sent]) -> None:
    """Ask until cancelled, then wait for what is open, until no reply has come for PATIENCE_S."""
    try:
        async for sent in caller.call(shape):
            questions.append(sent)
    finally:
        with anyio.CancelScope(shield=True):
            open_, since = math.inf, anyio.current_time()
            while open_ and anyio.current_time() - since < PATIENCE_S:
                await anyio.sleep(0.2)
                now_open = sum(not sent.replies for sent in questions if sent.acked_at is not None)
                if now_open < open_:
                    open_, since = now_open, anyio.current_time()
            await anyio.sleep(2.0)  # in which a second reply would come


def _account(fault: Fault, questions: list[Sent]) -> Account:
    taken = [sent for sent in questions if sent.acked_at is not None]
    tally = Tally.of(taken)
    codes = {code: n for code, n in tally.outcomes.items() if code not in ("answer", "none")}
    return Account(
        fault=fault.name,
        sent=tally.sent,
        answered=tally.answered,
        errors=tally.errors,
        lost=tally.lost,
        duplicated=tally.other_replies,
        repeats=tally.repeats,
        longest_gap_s=round(longest_gap_s(taken), 2),
        error_codes=" ".join(f"{code}:{n}" for code, n in sorted(codes.items())),
    )


def longest_gap_s(questions: list[Sent]) -> float:
    """The longest time in which no reply came though some question was open."""
    events = sorted(
        [(sent.sent_at, 1) for sent in questions if sent.replies]
        + [(sent.replies[0][0], -1) for sent in questions if sent.replies]
    )
    longest, waiting, since = 0.0, 0, 0.0
    for at, change in events:
        if change < 0:
            longest, since = max(longest, at - since), at
        elif waiting == 0:
            since = at
        waiting += change
    return longest


@contextmanager
def _scene(fault: Fault, rng: np.random.Generator, keep: Path | None) -> Iterator[Scene]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inarvl-faults-")))
        link = stack.enter_context(emulated_link(int(rng.integers(2**31))))
        stack.enter_context(small_disk(folder / "state"))
        names = Names(link.here, link.here)
        stack.callback(names.close)
        stack.enter_context(_resolver(link))
        words = (*link.prefix, *clock_words(folder)) if fault.wants_clock else link.prefix
        site = Site(
            folder,
            Layout(link.here, words, BROKER_PORT, CLOUD_PORT),
            Pacing(cloud_ms=800.0, cloud_slots=4) if fault.real_edge else Pacing(edge_ms=40.0, cloud_ms=60.0),
            settings={
                "broker": {"url": f"mqtt://{BROKER_NAME}:{BROKER_PORT}", "keepalive_s": 5},
                "intake": {"max_spool_mb": 8},
            },
            edge_command=(sys.executable, *REAL_EDGE, *REAL_EDGE_MODEL) if fault.real_edge else None,
            durable=fault.kills_broker,
            announced=fault.announced,
        )
        if keep is not None:
            stack.callback(_keep, folder, keep / fault.name.replace(" ", "-"))
        stack.callback(site.stop_all)
        site.start_all()
        yield Scene(site, link, rng, names)


def _keep(folder: Path, kept: Path) -> None:
    """Copy what a site wrote, sockets aside."""

    def sockets(within: str, names: list[str]) -> list[str]:
        return [name for name in names if not (file := Path(within) / name).is_dir() and not file.is_file()]

    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept, ignore=sockets)


@contextmanager
def _resolver(link: Link) -> Iterator[None]:
    """Have programs in the namespace ask our own name server."""
    folder = Path("/etc/netns") / link.namespace
    folder.mkdir(parents=True)
    (folder / "resolv.conf").write_text(f"nameserver {link.here}\noptions timeout:2 attempts:1\n")
    try:
        yield
    finally:
        (folder / "resolv.conf").unlink()
        folder.rmdir()
        with suppress(OSError):
            folder.parent.rmdir()
