"""Checks of the machine itself."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import psutil

from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.profile.loading import GENERIC
from agent.profile.profile import Profile
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.sensors import all_sensors

LEAST_DISK_MB = 256
UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
LONG_AGO = 1_735_689_600  # 2025-01-01: before it, no clock of a running agent can be
UNITS = ("inarvl-agent", "inarvl-vlm")


def profile(settings: Settings, profile: Profile) -> list[Finding]:
    """Is there a profile of this board?"""
    if settings.profile == "auto" and profile.name == GENERIC:
        return [
            warning(
                f"no profile fits this board: {GENERIC} is used, whose power is a guess",
                "measure it: `inarvl profile new`",
            )
        ]
    return [ok(f"{profile.name}")]


def sensors(settings: Settings, profile: Profile) -> list[Finding]:
    """What do the sensors tell, and why do those that are silent?"""
    rates = profile.rates
    found: list[Finding] = []
    powered = False
    for polled in all_sensors(power_s=rates.power_s, sense_s=rates.sense_s, rails=profile.power.rails):
        source = polled.sensor
        try:
            sample = source.sample()
            if source.name == "rapl":  # its first reading is only where the counter stands
                time.sleep(0.05)
                sample = source.sample()
            powered = powered or sample.power_w is not None
            found.append(ok(f"{source.name}: {_told(sample)}"))
        except SensorAbsent:
            continue
        except SensorFault as fault:
            found.append(warning(source.name, str(fault)))
        finally:
            source.close()
    if not powered:
        found.append(
            warning(
                "no sensor tells the board's power", "energy is modelled: put your own watts in a profile"
            )
        )
    return found


def permissions(settings: Settings, profile: Profile) -> list[Finding]:
    """May the agent use its own files, and nobody else its secrets?"""
    found = [_writable(settings.state_dir)]
    secrets = (settings.broker.password_file, settings.broker.key_file)
    for path in (*secrets, *(server.api_key_file for server in settings.peers)):
        if path is not None:
            found.append(_secret(path))
    if settings.local is not None and settings.local.startswith("unix:"):
        socket = Path(settings.local.removeprefix("unix:"))
        if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
            found.append(
                failed(f"{socket} may not be used", "run as user inarvl, whom it belongs to, or as root")
            )
    return found


def memory(settings: Settings, profile: Profile) -> list[Finding]:
    """Is there memory left?"""
    free_mb = psutil.virtual_memory().available / 2**20
    least_mb = profile.limits.memory_mb or 0.0
    fact = f"{free_mb:.0f} MiB free, the profile keeps {least_mb:.0f}"
    if free_mb < least_mb:
        return [warning(fact, "the board's model will rest: serve a smaller one, or end what else runs")]
    return [ok(fact)]


def disk(settings: Settings, profile: Profile) -> list[Finding]:
    """Is there room for the spool?"""
    folder = next(path for path in (settings.state_dir, *settings.state_dir.parents) if path.exists())
    free_mb = shutil.disk_usage(folder).free / 2**20
    fact = f"{free_mb:.0f} MiB free at {settings.state_dir}"
    if free_mb < LEAST_DISK_MB:
        return [failed(fact, f"queries would be refused: free {LEAST_DISK_MB} MiB")]
    return [ok(fact)]


def clock(settings: Settings, profile: Profile) -> list[Finding]:
    """Is the time right, by which certificates and records are judged?"""
    if time.time() < LONG_AGO:
        return [failed(f"it is {time.ctime()}", "TLS fails so: set the clock, `timedatectl set-ntp true`")]
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if state == UNSYNCHRONISED:
        return [warning("not synchronised", "times in records may be wrong: `timedatectl set-ntp true`")]
    return [ok("synchronised")] if state >= 0 else [warning("not known", "see `timedatectl`")]


def systemd_limits(settings: Settings, profile: Profile) -> list[Finding]:
    """Are the units there and well, with limits the machine can keep?"""
    if not Path("/run/systemd/system").exists():
        return [warning("systemd does not run here", "see to it that the agent is started and kept running")]
    found = []
    for unit in UNITS:
        told = _unit(unit)
        if told.get("LoadState") != "loaded":
            found.append(warning(f"{unit} is not installed", "see docs/deploy.md"))
        elif told.get("ActiveState") != "active":
            found.append(failed(f"{unit} is {told['ActiveState']}", f"see `journalctl -u {unit} -e`"))
        else:
            found.append(_limits(unit, told))
    return found


def _unit(unit: str) -> dict[str, str]:
    wanted = "LoadState,ActiveState,MemoryMax,MemoryCurrent,NRestarts"
    shown = subprocess.run(
        ["systemctl", "show", unit, "-p", wanted], capture_output=True, text=True, timeout=10, check=False
    )
    return dict(line.partition("=")[::2] for line in shown.stdout.splitlines())


def _limits(unit: str, told: dict[str, str]) -> Finding:
    limit, used, restarts = (
        told.get("MemoryMax", ""),
        told.get("MemoryCurrent", ""),
        told.get("NRestarts", "0"),
    )
    fact = f"{unit} is active, restarted {restarts} times"
    if limit.isdigit() and used.isdigit():
        fact += f", {int(used) / 2**20:.0f} of {int(limit) / 2**20:.0f} MiB used"
        if int(used) > 0.9 * int(limit):
            return warning(fact, f"raise MemoryMax: `systemctl edit {unit}`")
    return ok(fact) if restarts == "0" else warning(fact, f"`journalctl -u {unit} -e` says why")


def _writable(folder: Path) -> Finding:
    if not folder.exists():
        above = next(path for path in folder.parents if path.exists())
        if os.access(above, os.W_OK):
            return ok(f"state_dir {folder} can be made")
    elif os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ok(f"state_dir {folder} can be written")
    return failed(
        f"state_dir {folder} cannot be written", "run as user inarvl or root, or name another state_dir"
    )


def _secret(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
        path.read_bytes()
    except OSError as error:
        return failed(f"{path} cannot be read ({error.strerror})", f"`chgrp inarvl {path}; chmod 640 {path}`")
    if mode & stat.S_IROTH:
        return warning(f"{path} can be read by everybody", f"`chmod o= {path}`")
    return ok(f"{path} can be read, and not by everybody")


def _told(sample: Sample) -> str:
    hottest_c = max(sample.temps_c.values(), default=None)
    parts = (
        ("power", sample.power_w, "{:.1f} W"),
        ("GPU", sample.gpu_load, "{:.0%}"),
        ("power mode", sample.power_mode, "{}"),
        ("free", sample.memory_available_mb, "{:.0f} MiB"),
        ("clock limit", sample.clock_ratio, "{:.0%}"),
        ("hottest", hottest_c, "{:.0f} degrees"),
        ("throttled", sample.throttled, "{}"),
        ("charge", sample.battery_pct, "{:.0f}%"),
        ("memory pressure", sample.memory_pressure, "{:.0%}"),
    )
    return ", ".join(f"{name} {form.format(value)}" for name, value, form in parts if value is not None)
