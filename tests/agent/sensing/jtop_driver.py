"""Runs in the root of a fabricated Jetson: starts the service of jetson-stats, reads it as the agent does.

It prints one JSON line for each step, which test_real_jtop.py compares.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import anyio

from agent.profile.identity import BoardIdentity
from agent.sensing.jtop import Jtop, connect
from agent.sensing.sample import Sample, SensorFault
from agent.sensing.sampler import Sampler

FAKE = Path("/fake_sys")
WAIT_S = 60.0


def report(step: str, **values: object) -> None:
    sys.stdout.write(json.dumps({"step": step, **values}) + "\n")
    sys.stdout.flush()


def start() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "JTOP_SERVICE": "1", "JTOP_TESTING": "1"}
    service = subprocess.Popen(
        [sys.executable, "-m", "jtop", "--force"], env=environment, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + WAIT_S
    while not Path("/run/jtop.sock").exists():
        assert service.poll() is None, "the service of jetson-stats ended"
        assert time.monotonic() < until, "the service of jetson-stats does not start"
        time.sleep(0.1)
    return service


def stop(service: subprocess.Popen[bytes]) -> None:
    service.terminate()
    try:
        service.wait(10)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


def sample(jtop: Jtop) -> Sample:
    """Samples in a thread, as the agent does: jtop keeps one connection to its service for each thread."""
    return anyio.run(Sampler(jtop).sample)


def sample_until(jtop: Jtop, name: str, value: object) -> dict[str, object]:
    """Samples until a field has a value, since the service reads the files once in an interval."""
    until = time.monotonic() + WAIT_S
    while True:
        fields = asdict(sample(jtop))
        if fields[name] == value or time.monotonic() > until:
            return fields
        time.sleep(0.2)


def fault_of(jtop: Jtop) -> str | None:
    """Samples until there is a fault."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        try:
            sample(jtop)
        except SensorFault as fault:
            return str(fault)
        time.sleep(0.2)
    return None


def main() -> None:
    jtop = Jtop(connect, present=lambda: BoardIdentity.here().is_jetson, interval_s=0.5)
    report("not started", fault=fault_of(jtop))
    service = start()
    report("first", **asdict(sample(jtop)))
    load = FAKE / "class" / "devfreq" / "17000000.gpu" / "device" / "load"
    load.write_text("800\n")
    Path("/opt/jetson/mode").write_text("MAXN_SUPER\n2\n")
    report("changed", **sample_until(jtop, "gpu_load", 0.8))
    load.unlink()
    report("GPU off", **sample_until(jtop, "gpu_load", None))
    stop(service)
    report("stopped", fault=fault_of(jtop))
    service = start()
    report("again", **asdict(sample(jtop)))
    jtop.close()
    stop(service)


main()
