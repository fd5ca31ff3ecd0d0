"""An image file is read only from allowed folders and up to a size."""

from __future__ import annotations

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
