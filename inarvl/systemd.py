"""The systemd notification protocol, sd_notify(3): one datagram to $NOTIFY_SOCKET.

If systemd does not read, the socket's queue fills up and a further datagram blocks. Repeated notifications
(WATCHDOG=1, STATUS=...) are then dropped, so that the process does not hang. A change of state is sent only
once, so it waits up to STATE_TIMEOUT_S for space.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
import time

STATE_TIMEOUT_S = 2
STATE_CHANGES = ("READY=1", "RELOADING=1", "STOPPING=1")


def notify(state: str) -> bool:
    """Sends `state` (such as "READY=1") to systemd; False if there is no systemd or its queue is full."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    flags = 0 if state.startswith(STATE_CHANGES) else socket.MSG_DONTWAIT
    try:
        _socket().sendto(state.encode(), flags, "\0" + address[1:] if address.startswith("@") else address)
    except OSError:  # no reader, a full queue, or no free file descriptor
        return False
    return True


def reloading() -> bool:
    """Reports to systemd that a reload begins; READY=1 ends it."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_interval_s() -> float | None:
    """Returns half of the watchdog period that systemd set for this process, or None if it set none."""
    period_us = os.environ.get("WATCHDOG_USEC")
    pid = os.environ.get("WATCHDOG_PID")
    if not period_us or (pid and int(pid) != os.getpid()):
        return None
    return int(period_us) / 2e6


@functools.cache
def _socket() -> socket.socket:
    """Kept open, so that a process without free file descriptors can still feed the watchdog."""
    notify_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    notify_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", STATE_TIMEOUT_S, 0))
    return notify_socket
