"""`inarvl-vlm pull`, `try` and `serve` as processes, with a hub on loopback."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Vlm = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_a_pulled_checkpoint_sees_and_loads_without_the_hub(fake_hub: Any, repo: Path, vlm: Vlm) -> None:
    status, out, err = vlm("pull", "maker/drawn")
    assert status == 0, err
    assert "inarvl-vlm serve --model maker/drawn --name drawn" in out
    assert "a red square: 'red' after" in out
    assert "a blue square: 'blue' after" in out
    assert "the model sees" in out
    assert "downloading maker/drawn: 100%" in err
    unneeded = {"onnx/model.onnx", "pytorch_model.bin", "consolidated.safetensors", "modeling.py"}
    assert not fake_hub.downloaded() & {*unneeded, ".gitattributes", "README.md"}
    fake_hub.requests.clear()
    status, out, err = vlm("try", "maker/drawn", HF_HUB_OFFLINE="1")
    assert status == 0, err
    assert "maker/drawn, nf4: ready after" in out
    assert not fake_hub.requests


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C reach child processes also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_a_download(
    fake_hub: Any, large_weights: bytes, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    fake_hub.break_at, fake_hub.break_by = len(large_weights) - 1, "stall"
    process = start("pull", "maker/drawn", "--folder", str(tmp_path / "f"), "--no-try")
    assert fake_hub.broken.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run the same command again to continue the download" in err


@pytest.mark.slow
def test_a_language_model_is_refused_before_its_weights_are_downloaded(
    fake_hub: Any, repo: Path, vlm: Vlm
) -> None:
    (repo / "config.json").write_text('{"model_type": "llama"}')
    status, _, err = vlm("serve", "--model", "maker/drawn", "--listen", "127.0.0.1:0")
    assert status == 1
    assert "maker/drawn is a llama checkpoint without image input" in err
    assert "model.safetensors" not in fake_hub.downloaded()


def test_offline_pull_and_serve_say_what_to_do(fake_hub: Any, vlm: Vlm) -> None:
    for command in (["pull", "maker/drawn"], ["serve", "--model", "maker/drawn"]):
        for environment, problem in (
            ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE=1 forbids downloads; unset it"),
            ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached (127.0.0.1: Connection refused)"),
        ):
            status, _, err = vlm(*command, **environment)
            assert status == 1
            assert problem in err
            assert "inarvl-vlm pull maker/drawn --folder FOLDER` on another machine" in err
            assert len(err.splitlines()) == 1  # the server did not begin to listen
