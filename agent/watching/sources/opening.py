"""Chooses the source of a camera."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from agent.config.camera_source import CameraSource
from agent.watching.sources.folder_source import FolderSource
from agent.watching.sources.http_source import HttpSource
from agent.watching.sources.rtsp_source import RtspSource
from agent.watching.sources.source import Source


def source_of(
    settings: CameraSource, *, hosts: Collection[str], roots: Sequence[Path], max_bytes: int
) -> Source | None:
    """Returns the source that fetches the pictures; None for `mqtt`, where they come by themselves.

    Args:
        hosts: the allow-list of hosts, in lower case.
        roots: the folders from which images may be read.
        max_bytes: size limit of a picture.
    """
    if settings.kind == "http":
        return HttpSource(settings, hosts, max_bytes)
    if settings.kind == "rtsp":
        return RtspSource(settings, max_bytes)
    if settings.kind == "file":
        return FolderSource(settings.folder, roots, max_bytes)
    return None
