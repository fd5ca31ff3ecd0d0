"""A picture of an RTSP stream, decoded by PyAV (the extra `video`).

1. For each picture the stream is opened over TCP, its next key frame is decoded, and it is closed: a camera
   that is asked about every few minutes sends nothing in between.
2. The picture is encoded as JPEG, because questions are about files.
3. FFmpeg itself follows a redirect that a camera sends; the allow-list holds for the configured URL only.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from anyio import to_thread

from agent.config.camera_source import CameraSource
from agent.watching.sources.source import SourceFailed
from inarvl.redaction import redacted
from inarvl.secret_file import SecretUnavailable, read_secret
from inarvl.server_url import shown_url

QUALITY = 92
OPTIONS = {"rtsp_transport": "tcp", "protocol_whitelist": "rtsp,rtp,tcp,udp"}


class RtspSource:
    """Fetches the next key frame of a stream.

    Args:
        max_bytes: size limit of a picture.
    """

    def __init__(
        self, settings: CameraSource, max_bytes: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._max_bytes = max_bytes
        self._clock = clock

    async def fetch(self) -> bytes | None:
        """Returns the picture.

        Raises:
            SourceFailed: there is none, or PyAV is not installed.
        """
        return await to_thread.run_sync(self._fetch, abandon_on_cancel=True)

    async def close(self) -> None:
        """Does nothing: no stream is open between two pictures."""

    def _fetch(self) -> bytes:
        try:
            av = import_module("av")
        except ImportError:
            raise self._failed("PyAV is not installed: install inarvl with the extra `video`") from None
        limit_s = self._settings.timeout_s
        try:
            url = self._url()
            with av.open(url, format="rtsp", options=OPTIONS, timeout=(limit_s, limit_s)) as stream:
                picture = key_frame(stream, self._clock() + limit_s, self._clock)
        except SecretUnavailable as error:
            raise self._failed(str(error)) from None
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = redacted(getattr(error, "strerror", None) or str(error))[:200]
            raise self._failed(
                f"the stream cannot be read ({reason}): is the camera on, and are URL, "
                "username and password_file right?"
            ) from None
        if picture is None:
            raise self._failed(f"no key frame within {limit_s:g} s: let the camera send them more often")
        if len(picture) > self._max_bytes:
            raise self._failed(f"the picture has over {self._max_bytes} bytes: lower the resolution")
        return picture

    def _url(self) -> str:
        settings = self._settings
        if settings.username is None or settings.password_file is None:
            return settings.url
        password = read_secret(settings.password_file)
        parts = urlsplit(settings.url)
        login = f"{quote(settings.username, safe='')}:{quote(password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))

    def _failed(self, problem: str) -> SourceFailed:
        return SourceFailed(f"{shown_url(self._settings.url)}: {problem}")


def key_frame(container: Any, until: float, clock: Callable[[], float]) -> bytes | None:
    """Returns the next key frame of an opened PyAV container, as JPEG; None if there is none in time.

    Args:
        until: seconds on the clock.

    Raises:
        ValueError: the container has no video.
    """
    if not container.streams.video:
        raise ValueError("it has no video")
    video = container.streams.video[0]
    video.codec_context.skip_frame = "NONKEY"
    for packet in container.demux(video):
        for frame in packet.decode():
            file = io.BytesIO()
            frame.to_image().save(file, "JPEG", quality=QUALITY)
            return file.getvalue()
        if clock() > until:
            break
    return None
