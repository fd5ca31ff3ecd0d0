"""Files and folders that no other user can read, whatever the umask of the process is."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o750  # at most: the administrators' group may list it


def make_private_folder(path: Path) -> None:
    """Creates a folder, or takes the rights of other users from it; leaves shared folders such as /tmp alone.

    Raises:
        OSError: it cannot be created.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.stat().st_mode
    if mode & ~FOLDER_MODE & 0o777 and not mode & stat.S_ISVTX:
        with suppress(PermissionError):  # it belongs to another user, who decides
            path.chmod(stat.S_IMODE(mode) & FOLDER_MODE)


def open_private(path: Path, flags: int) -> int:
    """Opens a file as `os.open` does, and makes it private; creates it if there is none.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.
    """
    file = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with suppress(PermissionError):
        os.fchmod(file, FILE_MODE)
    return file


def write_private(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Writes a private file; with `sync`, returns when it is on disk.

    Raises:
        OSError: it cannot be written, or is a symbolic link.
    """
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def make_private(path: Path) -> None:
    """Makes an existing file or folder private; does nothing to a symbolic link, or if there is none."""
    with suppress(OSError):
        if path.is_symlink():
            return
        if path.is_dir():
            make_private_folder(path)
        elif path.is_file():
            path.chmod(FILE_MODE)
