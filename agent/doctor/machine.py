"""Checks of the machine: profile, sensors, memory, disk and clock."""

from __future__ import annotations

import ctypes
import shutil
import time

import anyio
import psutil

from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.profile.choice import AUTO, FALLBACKS
from agent.profile.profile import Profile
from agent.sensing.plug import plug_of
from agent.sensing.sample import Sample, Sensor, SensorAbsent, SensorFault
from agent.sensing.sampler import Sampler
from agent.sensing.sensing import SAMPLE_TIMEOUT_S
from agent.sensing.sensors import all_sensors

MIN_DISK_MB = 256
UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
MIN_TIME_S = 1_735_689_600  # 2025-01-01; an earlier time means that the clock is not set


def profile(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that a profile fits this board."""
    if settings.profile == AUTO and profile.name in FALLBACKS:
        return [
            warning(
                f"no profile fits this board: {profile.name} is used, whose power is an estimate",
                "measure the board: `inarvl profile new`",
            )
        ]
    return [ok(f"{profile.name}")]


def sensors(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks what each sensor reports."""
    rates = profile.rates
    findings: list[Finding] = []
    has_power = False
    plug = plug_of(profile, settings.mqtt_options(f"inarvl-{settings.device}-doctor"))
    for polled in all_sensors(
        power_s=rates.power_s, sense_s=rates.sense_s, rails=profile.power.rails, plug=plug
    ):
        sensor = polled.sensor
        try:
            sample = _sample(sensor)
            if sensor.name == "rapl":  # power is the difference of two samples
                time.sleep(0.05)
                sample = _sample(sensor)
            has_power = has_power or sample.power_w is not None
            findings.append(ok(f"{sensor.name}: {_summary(sample)}"))
        except SensorAbsent:
            continue
        except SensorFault as fault:
            findings.append(warning(sensor.name, str(fault)))
        finally:
            sensor.close()
    if not has_power:
        findings.append(
            warning(
                "this machine has no power sensor",
                "energy is modelled: measure the board's power and write it in a profile",
            )
        )
    return findings


def memory(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that enough memory is free."""
    free_mb = psutil.virtual_memory().available / 2**20
    min_mb = profile.limits.memory_mb or 0.0
    fact = f"{free_mb:,.0f} MiB free, the profile requires {min_mb:,.0f}"
    if free_mb < min_mb:
        return [warning(fact, "the board's model is not used: serve a smaller one, or stop other programs")]
    return [ok(fact)]


def disk(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the disk has space for the spool."""
    folder = next(path for path in (settings.state_dir, *settings.state_dir.parents) if path.exists())
    free_mb = shutil.disk_usage(folder).free / 2**20
    fact = f"{free_mb:,.0f} MiB free at {settings.state_dir}"
    if free_mb < MIN_DISK_MB:
        return [failed(fact, f"queries may be refused: free at least {MIN_DISK_MB} MiB")]
    return [ok(fact)]


def clock(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the clock is set, since certificates and records depend on it."""
    if time.time() < MIN_TIME_S:
        fact = f"the clock says {time.ctime()}"
        return [failed(fact, "TLS fails with a wrong time: set the clock, `timedatectl set-ntp true`")]
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if state == UNSYNCHRONISED:
        return [warning("not synchronised", "times in records may be wrong: `timedatectl set-ntp true`")]
    return [ok("synchronised")] if state >= 0 else [warning("unknown", "see `timedatectl`")]


def _sample(sensor: Sensor) -> Sample:
    """Samples in a thread, because a sensor may hang.

    Raises:
        SensorAbsent, SensorFault: as the sensor does, or it does not answer.
    """

    async def sample() -> Sample:
        with anyio.fail_after(SAMPLE_TIMEOUT_S):
            return await Sampler(sensor).sample()

    try:
        return anyio.run(sample)
    except TimeoutError:
        raise SensorFault(f"it has not answered for {SAMPLE_TIMEOUT_S:.0f} s: see `dmesg`") from None


def _summary(sample: Sample) -> str:
    hottest_c = max(sample.temps_c.values(), default=None)
    parts = (
        ("power", sample.power_w, "{:.1f} W"),
        ("GPU", sample.gpu_load, "{:.0%}"),
        ("power mode", sample.power_mode, "{}"),
        ("free", sample.memory_available_mb, "{:,.0f} MiB"),
        ("clock limit", sample.clock_ratio, "{:.0%}"),
        ("hottest", hottest_c, "{:.0f} degrees"),
        ("cores", sample.cpus_online, "{}"),
        ("container's share of the cores", sample.cpu_quota, "{:.0%}"),
        ("throttled", sample.throttled, "{}"),
        ("charge", sample.battery_pct, "{:.0f}%"),
        ("memory pressure", sample.memory_pressure, "{:.0%}"),
    )
    return ", ".join(f"{name} {form.format(value)}" for name, value, form in parts if value is not None)
