"""An image file is read only from allowed folders and up to a size."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from agent.messages import images
from agent.messages.query import BadQuery, Query


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.jpg")
    return folder


def load(path: Path, root: Path, max_bytes: int = 100_000) -> bytes:
    (image,) = images.load(Query("1", "what?", image_path=path), [root], max_bytes)
    return image


def test_a_file_under_a_root_is_read(root: Path) -> None:
    assert load(root / "a.jpg", root) == (root / "a.jpg").read_bytes()


def test_a_path_that_leaves_the_root_is_rejected(root: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    (root / "b.jpg").symlink_to(tmp_path / "secret.jpg")
    for path in (root / "b.jpg", root / ".." / "secret.jpg", tmp_path / "secret.jpg"):
        with pytest.raises(BadQuery, match="outside image_roots"):
            load(path, root)


def test_a_missing_or_large_file_is_rejected(root: Path) -> None:
    with pytest.raises(BadQuery, match="cannot be read"):
        load(root / "c.jpg", root)
    with pytest.raises(BadQuery, match="use a smaller one"):
        load(root / "a.jpg", root, max_bytes=10)


def test_an_invalid_path_is_rejected(root: Path) -> None:
    (root / "circle.jpg").symlink_to(root / "circle.jpg")
    for path in (root / "a\0b.jpg", root / "circle.jpg"):
        with pytest.raises(BadQuery) as caught:
            load(path, root)
        assert caught.value.code == "bad_image"


def test_several_images_are_loaded_in_their_order_up_to_a_total_size(root: Path) -> None:
    data, file = b"\xff\xd8\xff encoded", (root / "a.jpg").read_bytes()
    query = Query("1", "what?", images=(root / "a.jpg", data, root / "a.jpg"))
    assert images.load(query, [root], 100_000) == (file, data, file)
    with pytest.raises(BadQuery) as caught:
        images.load(query, [root], 2 * len(file))
    assert caught.value.code == "too_large"


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, bind, lambda path: path.touch()])
def test_only_a_regular_file_with_content_is_read(make: Callable[[Path], None], root: Path) -> None:
    make(root / "b.jpg")
    with pytest.raises(BadQuery, match=r"regular file|cannot be read") as caught:
        load(root / "b.jpg", root)
    assert caught.value.code == "bad_image"


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/dev/stdin", "/proc/self/status", "/proc/kmsg", "/proc/1/root"]
)
def test_a_device_or_a_file_of_proc_is_not_read_even_if_a_root_allows_it(path: str) -> None:
    with pytest.raises(BadQuery):
        load(Path(path), Path("/"))


def test_a_link_that_replaces_the_file_after_the_check_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "b").mkdir()
    (root / "b" / "secret.jpg").write_bytes(b"public")
    open_file = os.open

    def replaced(path: Path, flags: int) -> int:
        (root / "b").rename(root / "c")
        (root / "b").symlink_to(tmp_path)
        return open_file(path, flags)

    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(BadQuery, match="outside image_roots"):
        load(root / "b" / "secret.jpg", root)
