"""Listening on unix sockets and TCP ports: permissions, stale sockets, addresses in use."""

import socket
import stat
from pathlib import Path

import pytest

from vlm.errors import ListenError
from vlm.sockets import listening


def test_a_unix_socket_is_open_to_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with listening(f"unix:{path}"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", "write unix:/path/to/socket or host:port"),
        ("127.0.0.1:99999", "write unix:/path/to/socket or host:port"),
        ("192.0.2.1:80", "choose another address or port"),
        ("unix:/no/such/folder/s", "is its folder missing or read-only"),
    ],
)
def test_an_unusable_address_is_refused(address: str, message: str) -> None:
    with pytest.raises(ListenError, match=message), listening(address):
        pass


def test_the_socket_of_another_server_is_kept(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    with listening(address):
        with pytest.raises(ListenError, match="another server is listening"), listening(address):
            pass
        assert (tmp_path / "s").exists()


def test_a_file_at_the_path_is_kept(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(ListenError, match="is no socket"), listening(f"unix:{tmp_path}/s"):
        pass
    assert (tmp_path / "s").read_text() == "precious"
