"""The demo stops cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys


def test_ctrl_c_ends_the_demo_without_a_traceback() -> None:
    command = [sys.executable, "-u", "-m", "lab.demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("cloud:"):  # the emulated link runs, and the models start
                demo.send_signal(signal.SIGINT)
                break
        printed = demo.stdout.read()
    assert demo.returncode == 130, printed
    assert "Traceback" not in printed
