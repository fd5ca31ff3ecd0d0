"""Downloads one weight file from the hub; continues where an earlier process stopped.

huggingface_hub 2 deletes the part of a file that a failed download leaves, and gives up after a few seconds
without network. Here that part is kept in a file `*.partial`. The complete file is placed where
`snapshot_download` looks for it, which then does not download it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vlm.errors import ModelLoadError

SHA256 = re.compile(r"[0-9a-f]{64}")


def download_weights(
    url: str, target: Callable[[str], Path], partials: Path, progress: Callable[[int], None]
) -> None:
    """Downloads the file at `url`, unless it exists.

    Args:
        url: of huggingface_hub's `hf_hub_url`.
        target: returns the path of the complete file for its ETag.
        partials: folder for the incomplete file.
        progress: called with the bytes of the file that are on disk; may raise to stop.

    Raises:
        ModelLoadError: another process downloads the same file, or the complete file is damaged.
        Exception: as huggingface_hub does.
    """
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    metadata = get_hf_file_metadata(url)
    etag = metadata.etag or ""
    path = target(etag)
    if not etag or path.exists():
        return  # without an ETag, snapshot_download reports the problem
    headers = build_hf_headers()
    if urlsplit(metadata.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # another host must not receive the token
    partial = partials / f"{etag}.partial"
    partials.mkdir(parents=True, exist_ok=True)
    with _locked(partial, progress) as file:
        resumed_at = file.seek(0, io.SEEK_END)
        if metadata.size is None or resumed_at > metadata.size:
            resumed_at = file.seek(0)
            file.truncate()
        http_get(
            metadata.location,
            file,
            resume_size=resumed_at,
            headers=headers,
            expected_size=metadata.size,
            tqdm_class=silent_bars(),
        )
        if resumed_at and SHA256.fullmatch(etag) and _sha256(partial) != etag:
            partial.unlink()
            raise ModelLoadError(
                f"{path.name} was damaged when its download was interrupted; run the same command again to "
                "download it from the beginning"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)


def silent_bars() -> type[Any]:
    """Returns a class for huggingface_hub's `tqdm_class` that draws nothing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

    return Silent


class _CountedFile(io.FileIO):
    """Reports its length after each write."""

    def __init__(self, path: Path, progress: Callable[[int], None]) -> None:
        super().__init__(path, "a+b")
        self._progress = progress

    def write(self, data: Any) -> int:
        written = super().write(data)
        self._progress(self.tell())
        return written


@contextlib.contextmanager
def _locked(partial: Path, progress: Callable[[int], None]) -> Iterator[_CountedFile]:
    with _CountedFile(partial, progress) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ModelLoadError(f"another process is downloading {partial}; wait until it ends") from error
        yield file


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
