"""Every program in examples/ does what its docstring says, and is short."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from product import Product, jpeg

FOLDER = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 120.0


@pytest.fixture
def photo(tmp_path: Path) -> tuple[str, str]:
    """The path of an image, and a question about it."""
    image, question = jpeg()
    path = tmp_path / "photo.jpg"
    path.write_bytes(image)
    return str(path), question


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, str(FOLDER / program), *arguments]


def broker(product: Product) -> list[str]:
    return ["--device", product.topics.device, "--port", str(product.port)]


def run(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def ask(product: Product, photo: tuple[str, str]) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(run(python("ask.py", *photo, *broker(product))))
    return reply


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.*")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 40


def test_ask_prints_the_answer(product: Product, photo: tuple[str, str]) -> None:
    reply = ask(product, photo)
    assert reply["answer"]
    assert reply["tier"] in ("local", "cloud")


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto-clients is not installed")
def test_ask_raw_jpeg_prints_the_answer(product: Product, photo: tuple[str, str]) -> None:
    program = str(FOLDER / "ask_raw_jpeg.sh")
    printed = run([program, *photo, product.topics.device, "127.0.0.1", str(product.port)])
    assert json.loads(printed).get("answer"), printed


@pytest.mark.anyio
async def test_feedback_reaches_the_controller(product: Product, photo: tuple[str, str]) -> None:
    reply = ask(product, photo)
    run(python("feedback.py", reply["decision_id"], "right", *broker(product)))
    received = 0
    with anyio.fail_after(TIMEOUT_S):
        async with product.client(also=product.topics.telemetry) as client:
            while received == 0:
                telemetry = json.loads((await client.receive(product.topics.telemetry)).payload)
                received = telemetry["controller"]["feedback"]
    assert received == 1


def test_subscribe_events_prints_the_status_and_decisions(product: Product, photo: tuple[str, str]) -> None:
    command = python("subscribe_events.py", *broker(product))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as printing:
        assert printing.stdout is not None
        try:
            topic, _, payload = printing.stdout.readline().partition(" ")
            assert (topic, payload.strip()) == (product.topics.status, "online")
            reply = ask(product, photo)
            published = (line.partition(" ") for line in printing.stdout)
            topic, _, payload = next(found for found in published if found[0] != product.topics.event)
        finally:
            printing.terminate()
    assert topic == product.topics.decision
    record = json.loads(payload)
    assert record["query_id"] == reply["id"]
    assert reply["decision_id"] not in payload, "only the asker may know it"


def test_controller_alone_uses_both_tiers() -> None:
    *questions, share = run(python("controller_alone.py")).splitlines()
    assert any("cloud" in line for line in questions)
    assert any("board" in line for line in questions)
    assert 0.2 < float(share.split()[-1].rstrip("%")) / 100 < 0.8
