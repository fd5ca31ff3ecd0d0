"""`inarvl up` starts everything, answers, and stops without leaving a process; errors are clear."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from agent.standalone.broker import broker, free_port
from agent.standalone.service_process import ServiceProcess
from product import jpeg

PROGRAM = [sys.executable, "-c", "from agent.cli.main import app; app(prog_name='inarvl')"]
START_S = 240.0  # of a busy machine
READY = "Ctrl-C stops everything"


@dataclass
class Up:
    """A running `inarvl up`; its output goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path
    folder: Path

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + START_S
        while text not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < until, self.text()
            time.sleep(0.1)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ask(self, image: Path, question: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [
            *PROGRAM,
            "ask",
            str(image),
            question,
            "--config",
            str(self.folder / "agent.yaml"),
            *options,
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)

    def stopped_by(self, number: signal.Signals) -> int:
        """Sends a signal; returns the exit status when it and all its children have ended."""
        children = self.children()
        self.process.send_signal(number)
        status = self.process.wait(START_S)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
        return status


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts `inarvl up` with options; whatever still runs after the test is killed."""
    running: list[Up] = []

    def run(*options: str, folder: str = "state") -> Up:
        output = tmp_path / f"up-{len(running)}.txt"
        environment = dict(os.environ, TMPDIR=str(tmp_path))
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*PROGRAM, "up", *options, "--folder", str(tmp_path / folder)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        running.append(Up(process, output, tmp_path / folder))
        return running[-1]

    yield run
    for up in running:
        if up.process.poll() is None:
            for process in (*up.children(), psutil.Process(up.process.pid)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            up.process.wait()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg()[0])
    return path


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """URL of a mock of an OpenAI-compatible server, which has one model and answers "yes"."""
    port = free_port()
    command = [sys.executable, "-m", "lab.rig.mock_model_server", "--listen", f"127.0.0.1:{port}"]
    service = ServiceProcess("mock", [*command, "--model", "mock", "--ms", "5"], tmp_path)
    service.wait_ready(START_S, lambda _status: None)
    yield f"http://127.0.0.1:{port}"
    service.stop()


def failed(up: Up) -> str:
    """Returns what a run prints that fails to start, without the folds of the terminal."""
    assert up.process.wait(START_S) == 1, up.text()
    return " ".join(up.text().split())


def test_it_asks_a_server_answers_twice_and_stops_on_ctrl_c(
    start: Callable[..., Up], url: str, photo: Path
) -> None:
    up = start("--url", url, "--port", str(free_port()))
    up.wait_for(READY)
    assert f"mock at {url}" in up.text()
    assert f"--config {up.folder}/agent.yaml" in up.text()
    assert len(up.children()) >= 1
    for _ in range(2):
        asked = up.ask(photo, "Is the gate open?", "--answer", "yes_no")
        assert (asked.returncode, asked.stdout) == (0, "yes\n"), asked.stderr
        assert "answered    in the cloud by mock" in asked.stderr
    assert up.stopped_by(signal.SIGINT) == 0
    assert up.text().rstrip().endswith("stopped")


@pytest.mark.slow
def test_a_broker_that_runs_already_is_used_and_left_running(
    start: Callable[..., Up], url: str, photo: Path, tmp_path: Path
) -> None:
    with broker(tmp_path) as (_, port):
        up = start("--url", url, "--port", str(port))
        up.wait_for(READY)
        assert f"the one that runs on 127.0.0.1:{port}" in up.text()
        assert up.ask(photo, "Is it open?").stdout == "yes\n"
        again = start("--url", url, "--port", str(port), folder="other")
        assert "is online at the broker" in failed(again)
        assert up.stopped_by(signal.SIGTERM) == 0
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_second_run_in_the_same_folder_is_refused(start: Callable[..., Up], url: str) -> None:
    first = start("--url", url, "--port", str(free_port()))
    first.wait_for(READY)
    assert "choose another --folder and --port" in failed(start("--url", url, "--port", str(free_port())))
    assert first.stopped_by(signal.SIGINT) == 0


@pytest.mark.slow
def test_if_a_part_ends_everything_stops_with_its_log(start: Callable[..., Up], url: str) -> None:
    up = start("--url", url, "--port", str(free_port()))
    up.wait_for(READY)
    children = up.children()
    (agent,) = (child for child in children if "run" in child.cmdline())
    agent.kill()
    assert "inarvl-agent ended:" in failed(up)
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_a_port_of_another_program_is_refused(start: Callable[..., Up], url: str) -> None:
    port = int(url.rpartition(":")[2])
    assert f"port {port} on 127.0.0.1 is taken" in failed(start("--url", url, "--port", str(port)))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--model", "/nowhere/model"), "folder /nowhere/model does not exist"),
        (("--model", "bundled:nothing"), "no bundled model 'nothing'"),
        (("--model", "smolvlm-999x"), "no checkpoint 'smolvlm-999x' is known"),
        (("--url", "ftp://127.0.0.1"), "http"),
        (("--url", "http://127.0.0.1:9"), "http://127.0.0.1:9"),
        (("--url", "http://gpu.example:9"), "--allow-plaintext"),
    ],
)
def test_a_model_that_does_not_exist_is_refused_before_anything_starts(
    start: Callable[..., Up], options: tuple[str, ...], error: str
) -> None:
    up = start(*options, "--port", str(free_port()))
    text = failed(up)
    assert text.startswith("inarvl: ")
    assert error in text
    assert "Traceback" not in text


def test_a_model_that_the_server_lacks_is_refused(start: Callable[..., Up], url: str) -> None:
    up = start("--url", url, "--model", "other", "--port", str(free_port()))
    assert "does not have the model 'other'; it has: mock" in failed(up)


@pytest.mark.slow
def test_the_bundled_models_answer_and_warn_about_other_pictures(
    start: Callable[..., Up], photo: Path, tmp_path: Path
) -> None:
    up = start("--port", str(free_port()))
    up.wait_for(READY)
    assert "These models know drawn scenes only" in up.text()
    drawn = up.ask(photo, jpeg()[1])
    assert drawn.returncode == 0
    assert "warning" not in drawn.stderr
    sky = tmp_path / "sky.jpg"
    gradient(sky)
    other = up.ask(sky, "Is the gate open?", "--answer", "yes_no")
    assert other.stdout in ("yes\n", "no\n", "unknown\n")
    assert "was trained on drawn scenes, and the image is unlike them" in other.stderr
    assert up.stopped_by(signal.SIGINT) == 0


@pytest.mark.slow
def test_ctrl_c_while_models_load_leaves_no_process(start: Callable[..., Up]) -> None:
    up = start("--port", str(free_port()))
    up.wait_for("loading")
    while len(up.children()) < 2:
        time.sleep(0.05)
    assert up.stopped_by(signal.SIGINT) == 0


def gradient(path: Path) -> None:
    """Writes a picture that is no drawn scene: soft light with fine grain, as a photograph of the sky."""

    rng = np.random.default_rng(0)
    light = np.linspace(230, 120, 480)[:, None, None] + rng.normal(0, 6, (480, 640, 3))
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(path, quality=90)
