"""The systemd notification protocol, sd_notify(3): one datagram to $NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send `state` (such as "READY=1") to systemd; False when not started by it as Type=notify."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.sendall(state.encode())
    return True


def watchdog_interval_s() -> float | None:
    """Half of the watchdog period that systemd set for this process in seconds, or None without one."""
    period_us = os.environ.get("WATCHDOG_USEC")
    pid = os.environ.get("WATCHDOG_PID")
    if not period_us or (pid and int(pid) != os.getpid()):
        return None
    return int(period_us) / 2e6
