"""Finds checkpoints in the cache of huggingface_hub, and downloads them from the hub.

1. A checkpoint that is complete in the cache is used as it is, without a request to the hub.
2. Otherwise the hub must accept a connection within CONNECT_S; huggingface_hub alone retries for 30 s.
3. The weights are downloaded last, so that a snapshot with all its weights is complete.
4. A download that was interrupted continues at the byte where it stopped.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from inarvl.errors import InarvlError
from vlm.errors import ModelLoadError
from vlm.hub.catalogue import suggestion
from vlm.hub.connection import connection_problem
from vlm.hub.weights_download import download_weights, silent_bars

log = logging.getLogger(__name__)

CONNECT_S = 0.5
REQUEST_S = 10.0
SMALL_FILES = (".json", ".jinja", ".txt", ".model", ".tiktoken")
LICENCE_FILES = ("LICEN", "NOTICE", "COPYING")
WEIGHTS, PART = "model.safetensors", r"model-\d+-of-\d+\.safetensors"
"""File of all weights, and pattern of its parts. Other formats are never read: a pickle can run code."""


def fetch(
    repo: str,
    progress: Callable[[float], None],
    before_weights: Callable[[Path], None] = lambda _: None,
    revision: str | None = None,
) -> Path:
    """Returns the folder of `repo` in the cache; downloads it if it is not complete there.

    Args:
        repo: hub id, owner/name.
        progress: called with the downloaded share, from 0 to 1; may raise to stop.
        before_weights: called with the folder when it has all files except the weights; may raise.
        revision: hash of the commit; None for the newest known one.

    Raises:
        ModelLoadError: it cannot be downloaded; the message says what to do.
    """
    return cached_folder(repo, revision) or download(repo, None, progress, before_weights, revision)


def cached_folder(repo: str, revision: str | None = None) -> Path | None:
    """Returns the folder of `repo` in the cache, None if it is not complete there."""
    folder = _snapshot(repo, revision)
    return folder if folder and is_complete(folder) else None


def is_complete(folder: Path) -> bool:
    """Returns whether a folder has a configuration and all its weights."""
    if not (folder / "config.json").is_file():
        return False
    if (folder / WEIGHTS).is_file():
        return True
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        parts = json.loads((folder / f"{WEIGHTS}.index.json").read_text())["weight_map"].values()
        return all((folder / part).is_file() for part in set(parts))
    return False


def check_available(repo: str, revision: str | None = None) -> None:
    """Checks that `repo` is complete in the cache or that the hub accepts connections, within CONNECT_S.

    Raises:
        ModelLoadError: neither; the message says what to do.
    """
    if cached_folder(repo, revision) is None:
        _check_connection(repo)


def download(
    repo: str,
    folder: Path | None,
    progress: Callable[[float], None],
    before_weights: Callable[[Path], None] = lambda _: None,
    revision: str | None = None,
) -> Path:
    """Downloads `repo` into `folder`, or into the cache if that is None, and returns the folder.

    For the other arguments and errors see `fetch`.
    """
    _check_connection(repo)
    for library in ("httpx", "httpx2"):  # they log every request
        logging.getLogger(library).setLevel(logging.WARNING)
    from huggingface_hub import HfApi, hf_hub_url, snapshot_download

    def get(names: list[str]) -> Path:
        patterns = [glob.escape(name) for name in names]
        return Path(
            snapshot_download(
                repo,
                revision=revision,
                local_dir=folder,
                allow_patterns=patterns,
                tqdm_class=silent_bars(),
            )
        )

    with _hub_errors(repo, folder):
        info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=REQUEST_S)
        if revision is not None and info.sha != revision:
            raise ModelLoadError(f"the hub has no commit {revision} of {repo}; check the revision")
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        small, weights = needed_files(sizes, repo)
        before_weights(get(small))
        total, done = max(1, sum(sizes[name] for name in weights)), 0
        log.info("downloading %s, %.1f GB", repo, total / 1e9)
        for name in weights:
            download_weights(
                hf_hub_url(repo, name, revision=info.sha),
                lambda etag, name=name: folder / name if folder else _storage(repo) / "blobs" / etag,  # type: ignore[misc]
                folder / ".cache" / "huggingface" if folder else _storage(repo) / "blobs",
                lambda size, done=done: progress(min(1.0, (done + size) / total)),  # type: ignore[misc]
            )
            done += sizes[name]
        complete = get(weights)
        if not is_complete(complete):
            raise ModelLoadError(f"{repo} changed at the hub during the download; run the same command again")
        progress(1.0)
        return complete


def needed_files(names: Iterable[str], repo: str) -> tuple[list[str], list[str]]:
    """Returns the small files and the weight files that loading needs; code and other formats are left out.

    Raises:
        ModelLoadError: the repository has no checkpoint that transformers can load.
    """
    top = sorted(name for name in names if "/" not in name)
    small = [name for name in top if name.endswith(SMALL_FILES) or name.upper().startswith(LICENCE_FILES)]
    weights = [WEIGHTS] if WEIGHTS in top else [name for name in top if re.fullmatch(PART, name)]
    if weights and "config.json" in top:
        return small, weights
    raise ModelLoadError(
        f"{repo} has no config.json or no weights as safetensors, which alone are loaded; "
        "choose the original repository, not one of GGUF, ONNX, MLX or .bin files"
    )


def _storage(repo: str) -> Path:
    """Returns the folder of `repo` in the cache, with its blobs, snapshots and refs."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _snapshot(repo: str, revision: str | None = None) -> Path | None:
    """Returns the folder of a commit, or of the newest known one, in the cache, whether complete or not."""
    storage = _storage(repo)
    try:
        folder = storage / "snapshots" / (revision or (storage / "refs" / "main").read_text().strip())
    except OSError:
        return None
    return folder if folder.is_dir() else None


def _check_connection(repo: str) -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise _unreachable(repo, "HF_HUB_OFFLINE=1 forbids downloads; unset it")
    wait_s = CONNECT_S
    if "HF_HUB_ETAG_TIMEOUT" in os.environ:  # for links on which a connection takes longer
        wait_s = float(constants.HF_HUB_ETAG_TIMEOUT)
    problem = connection_problem(constants.ENDPOINT, wait_s)
    if problem is not None:
        raise _unreachable(
            repo,
            f"the hub {constants.ENDPOINT} cannot be reached ({problem}); check the network and HTTPS_PROXY, "
            "set HF_HUB_ETAG_TIMEOUT=10 if the link is slow",
        )


def _unreachable(repo: str, problem: str) -> ModelLoadError:
    from huggingface_hub import constants

    state = "is only partly" if _snapshot(repo) else "is not"
    return ModelLoadError(
        f"{repo} {state} in the cache {constants.HF_HUB_CACHE}, and {problem}, or run `inarvl-vlm pull "
        f"{repo} --folder FOLDER` on another machine, copy FOLDER and give its path"
    )


@contextlib.contextmanager
def _hub_errors(repo: str, folder: Path | None) -> Iterator[None]:
    """Converts the exceptions of huggingface_hub to ModelLoadError."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        yield
    except InarvlError:
        raise
    except Exception as error:  # some are of the HTTP library, which depends on the version
        place, hub = folder or constants.HF_HUB_CACHE, constants.ENDPOINT
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, GatedRepoError) or status == 403:
            problem = (
                f"{repo} is gated: accept its licence at {hub}/{repo}, then create a token of that account "
                f"at {hub}/settings/tokens and set HF_TOKEN"
            )
        elif isinstance(error, RepositoryNotFoundError) or status in (401, 404):
            problem = (
                f"the hub {hub} has no model {repo}, or it is private{suggestion(repo)}; check the name, or "
                "set HF_TOKEN to a token that may read it"
            )
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            problem = f"no space is left at {place}; free some, or set HF_HOME or --folder to another disk"
        elif isinstance(error, PermissionError):
            problem = f"{place} is not writable; set HF_HOME or --folder to another folder"
        else:
            detail = " ".join(str(error).split())[:300] or type(error).__name__
            problem = (
                f"downloading {repo} from {hub} failed ({detail}); run the same command again: the download "
                "continues where it stopped"
            )
        raise ModelLoadError(problem) from error
