"""The cache is checked without a request, and an unreachable hub is noticed in less than a second."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlm.errors import ModelLoadError
from vlm.hub import checkpoint_files as hub
from vlm.hub.connection import _first_hop, connection_problem


@pytest.fixture
def no_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def snapshot(cache: Path, no_hub: None) -> Path:
    folder = cache / "models--a--b" / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    (cache / "models--a--b" / "refs").mkdir()
    (cache / "models--a--b" / "refs" / "main").write_text("c0ffee")
    return folder


def slow_lookup(*_: Any) -> None:
    time.sleep(5)
    raise socket.gaierror


def elapsed_s(call: Callable[[], Any]) -> float:
    started_at = time.perf_counter()
    call()
    return time.perf_counter() - started_at


def test_an_unreachable_hub_is_noticed_in_less_than_a_second(no_hub: None) -> None:
    def check() -> None:
        with pytest.raises(ModelLoadError, match=r"a/b is not in the cache .* cannot be reached"):
            hub.fetch("a/b", lambda _share: None)

    assert elapsed_s(check) < 1


def test_a_name_server_that_does_not_answer(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", slow_lookup)

    def check() -> None:
        with pytest.raises(ModelLoadError, match=r"no connection to 127.0.0.1 within 0.5 s"):
            hub.check_available("a/b")

    assert elapsed_s(check) < 1


def test_a_slow_link_may_have_more_time(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 1)
    monkeypatch.setattr(socket, "getaddrinfo", slow_lookup)
    with pytest.raises(ModelLoadError, match=r"within 1 s"):
        hub.check_available("a/b")


def test_a_connection_over_one_of_two_address_families_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert connection_problem(f"http://localhost:{server.getsockname()[1]}", 5) is None


def test_a_proxy_is_connected_to_in_place_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert _first_hop("https://hub.example") == ("hub.example", 443)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert _first_hop("https://hub.example") == ("proxy.example", 3128)
    monkeypatch.setenv("no_proxy", "hub.example")
    assert _first_hop("https://hub.example") == ("hub.example", 443)


def test_a_snapshot_is_complete_when_it_has_all_its_weights(snapshot: Path) -> None:
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"first": parts[0], "second": parts[1]}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("config.json", *parts):
        assert hub.cached_folder("a/b") is None
        (snapshot / name).write_text("")
    assert hub.cached_folder("a/b") == snapshot
    assert hub.fetch("a/b", lambda _share: None) == snapshot


def test_a_damaged_index_is_not_complete(snapshot: Path) -> None:
    (snapshot / "config.json").write_text("{}")
    for content in ("", "[]", '{"weight_map": 3}'):
        (snapshot / "model.safetensors.index.json").write_text(content)
        assert hub.cached_folder("a/b") is None


def test_only_the_files_of_one_format_are_needed() -> None:
    names = [
        "LICENSE",
        "README.md",
        "chat_template.jinja",
        "config.json",
        "consolidated.safetensors",
        "merges.txt",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "modeling.py",
        "onnx/config.json",
        "pytorch_model.bin",
        "tokenizer.model",
    ]
    small, weights = hub.needed_files(names, "a/b")
    assert weights == names[6:8]
    assert small == [
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "merges.txt",
        names[8],
        "tokenizer.model",
    ]


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.pt", "model.ckpt", "tf_model.h5"])
def test_a_repository_without_safetensors_is_refused(pickle: str) -> None:
    with pytest.raises(ModelLoadError, match="no weights as safetensors, which alone are loaded"):
        hub.needed_files(["config.json", pickle], "a/b")
