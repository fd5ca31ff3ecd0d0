"""A picture of a real RTSP stream, where GStreamer's server is installed; and of a real video file."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.config.camera_source import CameraSource
from agent.watching.sources import rtsp_source
from agent.watching.sources.rtsp_source import RtspSource, key_frame
from agent.watching.sources.source import SourceFailed

pytestmark = pytest.mark.anyio
SERVER = Path(__file__).with_name("rtsp_server.py")
SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's, for which python3-gi is
USER, PASSWORD = "inarvl", "pass:word"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An H.264 file: white on the left, black on the right."""
    av: Any = pytest.importorskip("av", reason="the video extra is not installed")
    path = tmp_path_factory.mktemp("video") / "camera.mp4"
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:, :80] = 255
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", 10
        for _ in range(50):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def server(video: Path) -> Iterator[str]:
    """The URL of a stream that requires a digest password."""
    process = subprocess.Popen(
        [SYSTEM_PYTHON, str(SERVER), str(video), USER, PASSWORD],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    try:
        if not port:
            pytest.skip("GStreamer's RTSP server is not installed: scripts/test installs it")
        yield f"rtsp://127.0.0.1:{port}/camera"
    finally:
        process.kill()
        process.wait()


def is_the_picture(data: bytes | None) -> bool:
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        left, right = image.getpixel((20, 60)), image.getpixel((140, 60))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    return image.size == (160, 120) and min(left) > 240 and max(right) < 15


async def test_a_key_frame_of_a_stream_with_a_password_is_a_picture(server: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    settings = CameraSource(url=server, username=USER, password_file=password)
    source = RtspSource(settings, 100_000)
    assert is_the_picture(await source.fetch())
    assert is_the_picture(await source.fetch())
    with pytest.raises(SourceFailed, match="over 100 bytes"):
        await RtspSource(settings, 100).fetch()


async def test_a_wrong_password_and_a_missing_stream_say_what_to_do(server: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong-password")
    settings = CameraSource(url=server, username=USER, password_file=password)
    with pytest.raises(SourceFailed, match=r"401 Unauthorized.*username and password_file right") as raised:
        await RtspSource(settings, 100_000).fetch()
    assert "wrong-password" not in str(raised.value)
    with pytest.raises(SourceFailed, match="the stream cannot be read"):
        await RtspSource(CameraSource(url="rtsp://127.0.0.1:9/x"), 100_000).fetch()


def test_the_first_key_frame_of_a_video_file_is_decoded(video: Path) -> None:
    av: Any = pytest.importorskip("av")
    with av.open(str(video)) as container:
        assert is_the_picture(key_frame(container, 1.0, lambda: 0.0))


async def test_without_pyav_the_failure_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(rtsp_source, "import_module", missing)
    with pytest.raises(SourceFailed, match="install inarvl with the extra `video`"):
        await RtspSource(CameraSource(url="rtsp://127.0.0.1:9/x"), 100_000).fetch()
