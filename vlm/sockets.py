"""Opens the socket that a server listens on: a unix socket or a TCP port."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from vlm.errors import ListenError

BACKLOG = 128
SOCKET_UMASK = 0o117  # mode 0660: members of the group may connect


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """Listens on `unix:/path` or `host:port`; closes and removes the socket at exit.

    Args:
        address: port 0 selects a free port.

    Raises:
        ListenError: the address is invalid or in use, or permission is missing.
    """
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        listener = _listen_unix(path)
        inode = path.stat().st_ino
    else:
        path = None
        listener = _listen_tcp(*host_and_port(address))
    try:
        yield listener
    finally:
        listener.close()
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    path.unlink()


def host_and_port(address: str) -> tuple[str, int]:
    """Splits `host:port`.

    Raises:
        ListenError: it has another form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ListenError(f"cannot listen on {address!r}; write unix:/path/to/socket or host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_exposed(address: str) -> bool:
    """Returns whether other machines may reach a server on `unix:/path` or `host:port`.

    Raises:
        ListenError: the address has another form.
    """
    if address.startswith("unix:"):
        return False
    host, _ = host_and_port(address)
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host.lower() != "localhost"


def remove_stale(path: Path) -> None:
    """Removes the socket that a killed server left at `path`.

    Raises:
        ListenError: another server listens on it, or it is no socket.
    """
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return  # the path is free, or bind will report the problem
    if not is_socket:
        raise ListenError(f"{path} exists and is no socket; remove it or listen on another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # left behind by a server that was killed
        except OSError as error:
            raise ListenError(f"cannot replace the socket {path}: {error.strerror or error}") from error
        else:
            raise ListenError(f"another server is listening on {path}; stop it or listen on another path")


def _listen_tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    every_address = host == "::" and socket.has_dualstack_ipv6()  # IPv4 too
    try:
        return socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=every_address
        )
    except OSError as error:
        raise ListenError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another address or port"
        ) from error


def _listen_unix(path: Path) -> socket.socket:
    remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(SOCKET_UMASK)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(
            f"cannot create the socket {path}: {error.strerror or error}; is its folder missing or read-only?"
        ) from error
    finally:
        os.umask(previous)
    return listener
