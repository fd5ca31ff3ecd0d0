"""The commands that show what a running agent decides: with a real broker and agent, and scripted models."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from feedback_site import FeedbackSite, feedback_site
from PIL import Image

QUESTIONS = 12


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, portal: BlockingPortal) -> Iterator[FeedbackSite]:
    """A site whose agent has answered some questions."""
    folder = tmp_path_factory.mktemp("commands")
    with portal.wrap_async_context_manager(feedback_site(folder, board_right=0.9, cloud_s=0.05)) as running:
        portal.call(partial(running.ask, QUESTIONS, recorded=True))
        yield running


def inarvl(site: FeedbackSite, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs a command with the site file, not in a terminal."""
    tool = Path(sys.executable).with_name("inarvl")
    command = [str(tool), *words, "--config", str(site.product.config)]
    environment = {**os.environ, "COLUMNS": "80"}

    done = subprocess.run(command, input=stdin, capture_output=True, check=False, env=environment)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


async def next_telemetry(site: FeedbackSite) -> None:
    site.next_telemetry = anyio.Event()
    await site.next_telemetry.wait()


def image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 48), "grey").save(file, "JPEG")
    return file.getvalue()


def test_route_explains_every_arm_and_asks_no_model(site: FeedbackSite, portal: BlockingPortal) -> None:
    portal.call(next_telemetry, site)
    answered = site.telemetry["controller"]["questions"]
    done = inarvl(site, "route", "--dry-run", "-", "Is lamp 900 on?", "--json", stdin=image())
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    arms = {arm["arm"]: arm for arm in decision["arms"]}
    assert {name.partition("/")[0] for name in arms} == {"local", "cloud"}
    assert decision["arm"] in arms
    assert decision["reason"]
    for arm in arms.values():
        assert {"latency_ms", "latency_p95_ms", "energy_j", "risk", "score"} <= arm.keys()
    portal.call(next_telemetry, site)
    assert site.telemetry["controller"]["questions"] == answered


def test_route_says_why_an_arm_is_ruled_out(site: FeedbackSite) -> None:
    done = inarvl(site, "route", "-", "Is lamp 901 on?", "--pin", "local", stdin=image())
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.decode().split())
    assert "the query is pinned to the board" in shown
    assert "local/board@64" in shown


def test_ask_gets_an_answer_after_a_dry_run(site: FeedbackSite) -> None:
    done = inarvl(site, "ask", "-", "Is lamp 902 on?", "--answer", "yes_no", "--json", stdin=image())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] in (True, False)


def test_top_shows_one_frame_at_80_columns_without_colour(site: FeedbackSite) -> None:
    done = inarvl(site, "top", "--once")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    for text in ("online", "since the first", "accuracy", "workers busy", "spool 0", "round trip"):
        assert text in shown
    assert sum("board board@" in text or "cloud cloud@" in text for text in shown.splitlines()) == 8


def test_log_has_the_latest_decisions(site: FeedbackSite) -> None:
    done = inarvl(site, "log", "--lines", str(QUESTIONS))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == QUESTIONS
    assert all(" decision q" in text for text in lines[:-1])


def test_the_decision_log_has_no_text_of_a_question_or_an_answer(site: FeedbackSite) -> None:
    log = (site.product.folder / "decisions.jsonl").read_text()
    assert "lamp" not in log
    records = [json.loads(line) for line in log.splitlines()]
    assert all("text" not in run for record in records for run in record["runs"])
    assert all(record["floor"] and record["follow_up"]["action"] for record in records)
