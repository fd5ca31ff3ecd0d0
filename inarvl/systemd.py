"""The systemd notification protocol, sd_notify(3): one datagram to $NOTIFY_SOCKET.

A datagram to a reader who has stopped reading blocks once a handful wait. What is said again and again, as
the watchdog's word and the status are, is dropped then: no program may hang because nobody listens to it. A
change of state, which is said once, waits PATIENCE_S for room.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
import time

PATIENCE_S = 2
SAID_ONCE = ("READY=1", "RELOADING=1", "STOPPING=1")


def notify(state: str) -> bool:
    """Send `state` (such as "READY=1") to systemd; False when it is not there or did not hear."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    flags = 0 if state.startswith(SAID_ONCE) else socket.MSG_DONTWAIT
    try:
        _channel().sendto(state.encode(), flags, "\0" + address[1:] if address.startswith("@") else address)
    except OSError:  # nobody listens there, or has room, or no file descriptor is left
        return False
    return True


def reloading() -> bool:
    """Tell systemd that a reload begins; READY=1 ends it."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_interval_s() -> float | None:
    """Half of the watchdog period that systemd set for this process in seconds, or None without one."""
    period_us = os.environ.get("WATCHDOG_USEC")
    pid = os.environ.get("WATCHDOG_PID")
    if not period_us or (pid and int(pid) != os.getpid()):
        return None
    return int(period_us) / 2e6


@functools.cache
def _channel() -> socket.socket:
    """Kept open, so that a process out of file descriptors still says that it lives."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", PATIENCE_S, 0))
    return channel
