"""`inarvl-vlm llamacpp` runs a server and speaks for it with systemd; here a small script in its place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vlm import bundled
from vlm.gguf.export import export
from vlm.gguf.precision import Precision

pytest.importorskip("gguf", reason="gguf is not installed: scripts/test installs it")

LOADING, FAILING, SILENT = "loading", "failing", "silent"
SERVER = f"""#!{sys.executable}
import http.server, os, pathlib, socketserver, sys, time
folder = pathlib.Path(__file__).parent
(folder / "arguments").write_text("\\n".join(sys.argv[1:]))
(folder / "pid").write_text(str(os.getpid()))
if (folder / "{FAILING}").exists():
    print("error: unknown model architecture")
    sys.exit(1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while self.path == "/metrics" and (folder / "{SILENT}").exists():
            time.sleep(0.05)
        self.send_response(503 if (folder / "{LOADING}").exists() else 200)
        self.end_headers()
    def address_string(self):
        return ""
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(sys.argv[sys.argv.index("--host") + 1], Handler).serve_forever()
"""
PROGRAM = """
from vlm.cli import app
from vlm.llamacpp import server_process
server_process.WATCH_S = server_process.CHECK_TIMEOUT_S = 0.2
app()
"""
TIMEOUT_S = 60.0


class Service:
    """The command as a child process of a small systemd."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "vlm.sock"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify"))
        self._notified.settimeout(TIMEOUT_S)
        command = [sys.executable, "-c", PROGRAM, "llamacpp", "--binary", str(folder / "llama-server")]
        command += ["--model", str(folder / "swift-q8_0.gguf")]
        command += ["--mmproj", str(folder / "mmproj-swift-f16.gguf")]
        command += ["--socket", str(self.socket), *options]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, state: str) -> None:
        """Waits until systemd is sent a state."""
        while state not in self._notified.recv(4096).decode().splitlines():
            pass

    def ended(self) -> tuple[int, str]:
        """Its exit status and its output, when it has ended."""
        output, _ = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, output

    def server_pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def close(self) -> None:
        """Stops it if it runs, and its server, which would outlive a killed parent."""
        self.process.terminate()
        self.process.communicate(timeout=TIMEOUT_S)
        self._notified.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    export(bundled.path("inarvl-edge-swift"), "swift", tmp_path, Precision.q8_0)
    binary = tmp_path / "llama-server"
    binary.write_text(SERVER)
    binary.chmod(0o755)
    return tmp_path


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Service]:
    service = Service(folder, *options)
    try:
        yield service
    finally:
        service.close()


def test_it_is_ready_when_the_model_is_loaded_and_ends_with_0_when_it_is_stopped(folder: Path) -> None:
    (folder / LOADING).touch()
    with running(folder) as service:
        service.until("STATUS=loading swift-q8_0")
        (folder / LOADING).unlink()
        service.until("READY=1")
        assert service.socket.stat().st_mode & 0o777 == 0o660
        service.until("WATCHDOG=1")
        service.process.terminate()
        assert service.ended()[0] == 0
        assert not service.socket.exists()


def test_the_server_is_given_the_settings_and_further_options(folder: Path) -> None:
    settings = ("--name", "swift", "--ctx-size", "2048", "--gpu-layers", "7", "--image-max-tokens", "256")
    with running(folder, *settings, "--", "--threads", "3") as service:
        service.until("READY=1")
        words = (folder / "arguments").read_text().splitlines()
    given = {option: words[words.index(option) + 1] for option in words if option.startswith("--")}
    wanted = {"--alias": "swift", "--ctx-size": "2048", "--n-gpu-layers": "7", "--image-max-tokens": "256"}
    assert wanted.items() <= given.items()
    assert "--image-min-tokens" not in words
    assert words[-2:] == ["--threads", "3"]


def test_a_killed_server_ends_the_service_so_that_systemd_restarts_both(folder: Path) -> None:
    for _ in range(2):
        with running(folder) as service:
            service.until("READY=1")
            os.kill(service.server_pid(), signal.SIGKILL)
            status, output = service.ended()
        assert status == 1
        assert "ended with SIGKILL, to be restarted" in output
        (folder / "notify").unlink()


def test_the_socket_that_a_killed_service_left_is_replaced(folder: Path) -> None:
    with running(folder) as service:
        service.until("READY=1")
        service.process.kill()
        service.process.wait()
        os.kill(service.server_pid(), signal.SIGKILL)
    (folder / "notify").unlink()
    assert service.socket.exists()
    with running(folder) as service:
        service.until("READY=1")


def test_a_server_that_does_not_compute_any_more_is_killed(folder: Path) -> None:
    """Its /health still answers."""
    with running(folder, "--stuck-s", "1") as service:
        service.until("READY=1")
        (folder / SILENT).touch()
        status, output = service.ended()
        assert status == 1
        assert "has not answered for 1 s; it is killed" in output
        with pytest.raises(ProcessLookupError):
            os.kill(service.server_pid(), 0)


def test_a_server_that_cannot_load_the_model_says_so_once(folder: Path) -> None:
    (folder / FAILING).touch()
    with running(folder) as service:
        status, output = service.ended()
    assert status == 1
    assert "unknown model architecture" in output
    assert "ended with status 1 while it loaded swift-q8_0; its lines above say why" in " ".join(
        output.split()
    )
    assert "Traceback" not in output


def test_a_program_of_another_processor_is_one_clear_line(folder: Path) -> None:
    (folder / "llama-server").write_bytes(b"\x7fELF of another machine")
    with running(folder) as service:
        status, output = service.ended()
    assert status == 1
    assert "llama-server cannot be run (Exec format error); is it built for this processor?" in " ".join(
        output.split()
    )
    assert "Traceback" not in output


def test_a_service_stops_while_its_model_is_loading(folder: Path) -> None:
    (folder / LOADING).touch()
    with running(folder) as service:
        service.until("STATUS=loading swift-q8_0")
        service.process.terminate()
        assert service.ended()[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--binary", "/no/such/llama-server"), "there is no program /no/such/llama-server; install"),
        (("--model", "/no/such.gguf"), "/no/such.gguf does not exist; write"),
        (("--mmproj", ""), "MMPROJ is not set; write"),
        (("--socket", "/tmp/vlm"), "only if its name ends with .sock"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_78_which_systemd_does_not_restart(
    folder: Path, options: tuple[str, ...], message: str
) -> None:
    with running(folder, *options) as service:
        status, output = service.ended()
    assert status == os.EX_CONFIG
    (line,) = output.splitlines()
    assert message in line


def test_a_model_that_does_not_fit_is_one_line_unless_the_check_is_off(folder: Path) -> None:
    with running(folder, "--reserve-mb", "1000000000") as service:
        status, output = service.ended()
    assert status == 1
    (line,) = output.splitlines()
    assert "does not fit" in line
    (folder / "notify").unlink()
    with running(folder, "--reserve-mb", "-1") as service:
        service.until("READY=1")
