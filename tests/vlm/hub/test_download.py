"""huggingface_hub's own client downloads from a hub on loopback, and continues an interrupted download."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlm.errors import ModelLoadError
from vlm.hub import checkpoint_files as hub

MIB = 2**20
WEIGHTS = "model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"  # of the hub in conftest.py


def error_of(*arguments: Any) -> str:
    with pytest.raises(ModelLoadError) as raised:
        hub.download(*arguments)
    return str(raised.value)


def ignore(_share: float) -> None: ...


def stop_at(limit: float) -> Callable[[float], None]:
    def progress(share: float) -> None:
        if share >= limit:
            raise KeyboardInterrupt

    return progress


@pytest.fixture(params=["cache", "folder"])
def folder(request: pytest.FixtureRequest, cache: Path, tmp_path: Path) -> Path | None:
    """The folder to download into; None is the cache."""
    return tmp_path / "models" / "drawn" if request.param == "folder" else None


def leftovers(tmp_path: Path) -> list[Path]:
    return [*tmp_path.rglob("*.partial"), *tmp_path.rglob("*.incomplete")]


def test_a_download_has_the_needed_files_and_reports_its_progress(
    fake_hub: Any, repo: Path, folder: Path | None, tmp_path: Path
) -> None:
    shares: list[float] = []
    downloaded = hub.download("maker/drawn", folder, shares.append)
    assert hub.is_complete(downloaded)
    assert folder in (None, downloaded)
    assert (downloaded / WEIGHTS).read_bytes() == (repo / WEIGHTS).read_bytes()
    assert not (downloaded / "modeling.py").exists()
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert fake_hub.ranges() == [None]
    assert not leftovers(tmp_path)
    hub.download("maker/drawn", folder, ignore)  # nothing is missing
    assert fake_hub.ranges() == [None]


def test_a_download_continues_after_the_connection_is_cut(
    fake_hub: Any, large_weights: bytes, folder: Path | None
) -> None:
    fake_hub.break_at = 21 * MIB
    downloaded = hub.download("maker/drawn", folder, ignore)
    assert fake_hub.ranges() == [None, f"bytes={20 * MIB}-"]
    assert (downloaded / WEIGHTS).read_bytes() == large_weights


def test_a_stopped_download_continues_with_the_next_command(
    fake_hub: Any, large_weights: bytes, folder: Path | None, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        hub.download("maker/drawn", folder, stop_at(0.7))
    assert hub.cached_folder("maker/drawn") is None
    downloaded = hub.download("maker/drawn", folder, ignore)
    assert fake_hub.ranges() == [None, f"bytes={20 * MIB}-"]
    assert (downloaded / WEIGHTS).read_bytes() == large_weights
    assert not leftovers(tmp_path)


def test_a_part_that_was_damaged_is_noticed_and_downloaded_again(
    fake_hub: Any, large_weights: bytes, folder: Path | None, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        hub.download("maker/drawn", folder, stop_at(0.7))
    (part,) = tmp_path.rglob("*.partial")
    part.write_bytes(bytes(20 * MIB))  # as after a power failure
    assert "was damaged when its download was interrupted" in error_of("maker/drawn", folder, ignore)
    downloaded = hub.download("maker/drawn", folder, ignore)
    assert (downloaded / WEIGHTS).read_bytes() == large_weights


def test_two_downloads_of_the_same_file(fake_hub: Any, large_weights: bytes, cache: Path) -> None:
    errors: list[str] = []

    def download_too(_share: float) -> None:
        if not errors:
            errors.append(error_of("maker/drawn", None, ignore))

    assert hub.is_complete(hub.download("maker/drawn", None, download_too))
    assert "another process is downloading" in errors[0]


def test_a_gated_model_says_to_accept_its_licence_and_set_a_token(
    fake_hub: Any, repo: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub.gated.add("maker/drawn")
    message = error_of("maker/drawn", None, ignore)
    assert f"accept its licence at {fake_hub.url}/maker/drawn" in message
    assert "set HF_TOKEN" in message
    monkeypatch.setenv("HF_TOKEN", "accepted")
    assert hub.is_complete(hub.download("maker/drawn", None, ignore))


def test_a_name_that_the_hub_does_not_know(fake_hub: Any, cache: Path) -> None:
    message = error_of("HuggingFaceTB/SmolVLM-256M-Instuct", None, ignore)
    assert "has no model HuggingFaceTB/SmolVLM-256M-Instuct" in message
    assert "similar names: HuggingFaceTB/SmolVLM-256M-Instruct" in message


def test_a_repository_without_weights_for_transformers(fake_hub: Any, repo: Path, cache: Path) -> None:
    (repo / WEIGHTS).rename(repo / "model.gguf")
    (repo / "pytorch_model.bin").unlink()
    assert "choose the original repository" in error_of("maker/drawn", None, ignore)


def test_a_commit_of_a_repository_is_downloaded_and_no_other(fake_hub: Any, repo: Path, cache: Path) -> None:
    other = "f" * 40
    with pytest.raises(ModelLoadError, match=f"no commit {other} of maker/drawn"):
        hub.fetch("maker/drawn", ignore, revision=other)
    assert not fake_hub.downloaded()
    folder = hub.fetch("maker/drawn", ignore, revision=COMMIT)
    assert folder.name == COMMIT
    fake_hub.requests.clear()
    assert hub.fetch("maker/drawn", ignore, revision=COMMIT) == folder
    assert hub.cached_folder("maker/drawn", other) is None
    assert not fake_hub.requests


def test_a_partly_downloaded_checkpoint_without_network(
    fake_hub: Any, large_weights: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        hub.download("maker/drawn", None, stop_at(0.7))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "maker/drawn is only partly in the cache" in error_of("maker/drawn", None, ignore)


def test_a_full_disk(fake_hub: Any, repo: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_share: float) -> None:
        raise OSError(28, "No space left on device")

    assert "no space is left" in error_of("maker/drawn", None, full)
