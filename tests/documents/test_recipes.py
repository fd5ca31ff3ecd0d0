"""Every recipe that can run without hardware runs, and gets an answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.standalone.broker import free_port
from product import Product, jpeg

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "recipes"
NODE_RED = ROOT / ".node" / "node_modules" / "node-red" / "red.js"
TIMEOUT_S = 120.0

with_clients = pytest.mark.skipif(
    not shutil.which("mosquitto_sub"), reason="mosquitto-clients is not installed"
)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a recipe."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (RECIPES / page).read_text(), re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the pictures that the recipes name."""
    (tmp_path / "photo.jpg").write_bytes(jpeg()[0])
    (tmp_path / "pictures").mkdir()
    for seed in (1, 2):
        (tmp_path / "pictures" / f"{seed}.jpg").write_bytes(jpeg(seed)[0])
    return tmp_path


def for_product(text: str, product: Product) -> str:
    return text.replace("gate-3", product.topics.device).replace("1883", str(product.port))


def shell(number: int) -> str:
    """One block of the page on the shell, after the function that it uses."""
    found = blocks("shell.md", "bash")
    return found[0] + found[number]


def bash(script: str, product: Product, folder: Path) -> str:
    """What a script prints; the clients of mosquitto read the port from their files of options."""
    for program in ("mosquitto_pub", "mosquitto_sub"):
        (folder / program).write_text(f"-p {product.port}\n")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", for_product(script, product)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "XDG_CONFIG_HOME": str(folder)},
        timeout=TIMEOUT_S,
    )
    return ran.stdout


def test_the_python_recipe_prints_an_answer(product: Product, folder: Path) -> None:
    (script,) = blocks("python.md", "python")
    (folder / "recipe.py").write_text(for_product(script, product))
    printed = subprocess.run(
        [sys.executable, "recipe.py"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        timeout=TIMEOUT_S,
    ).stdout
    assert printed.strip() in ("yes", "no")


@with_clients
def test_the_shell_recipe_answers_one_picture(product: Product, folder: Path) -> None:
    reply = json.loads(bash(shell(1), product, folder))
    assert reply.get("value") in (True, False), reply


@with_clients
def test_the_shell_recipe_answers_a_folder(product: Product, folder: Path) -> None:
    bash(shell(2), product, folder)
    replies = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert [reply["id"] for reply in replies] == ["1.jpg", "2.jpg"]
    assert all("answer" in reply for reply in replies), replies


@with_clients
def test_the_shell_recipe_shows_the_status(product: Product, folder: Path) -> None:
    assert f"{product.topics.status} online" in bash(shell(3), product, folder)


def test_the_recipe_of_ros_2_is_valid_python() -> None:
    (script,) = blocks("ros2.md", "python")
    compile(script, "ros2.md", "exec")


def test_the_sketch_sends_a_query_that_the_agent_reads() -> None:
    from agent.messages.payload import read_payload
    from agent.messages.query import Query

    (sketch,) = blocks("esp32-cam.md", "cpp")
    head, tail = (
        json.loads(f'"{text}"')
        for text in re.findall(r'^const char \*(?:HEAD|TAIL) = "(.*)";$', sketch, re.M)
    )
    query = Query.from_fields(*read_payload(f"{head}/9j/2Q=={tail}".encode()))
    assert query.client == "esp32-cam-1"
    assert f"result/{query.client}" in sketch


def test_the_page_on_node_red_shows_the_code_of_its_flow() -> None:
    flow = json.loads((RECIPES / "node-red-flow.json").read_text())
    (shown,) = blocks("node-red.md", "js")
    assert shown.strip() in [node.get("func") for node in flow]


@pytest.fixture
def node_red(product: Product, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Node-RED with the flow of the recipe, which asks once when it starts."""
    flow = for_product((RECIPES / "node-red-flow.json").read_text(), product)
    (folder / "flow.json").write_text(flow.replace("/home/pi/photo.jpg", str(folder / "photo.jpg")))
    command = ["node", NODE_RED, "--userDir", folder / "user", "--port", str(free_port())]
    with subprocess.Popen(
        [*command, "-D", "uiHost=127.0.0.1", folder / "flow.json"], stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.terminate()


@pytest.mark.slow
@pytest.mark.skipif(not NODE_RED.exists(), reason="Node-RED is not installed (scripts/node)")
def test_the_flow_of_node_red_shows_an_answer(node_red: subprocess.Popen[str]) -> None:
    assert node_red.stdout is not None
    for line in node_red.stdout:
        if "[debug:answer]" in line:
            assert line.split()[-1].strip("'") in ("yes", "no")
            return
    pytest.fail("Node-RED ended without an answer")
