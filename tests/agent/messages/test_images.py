"""An image is loaded only from allowed folders, and resized to an arm's resolution."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from agent.messages import images
from agent.messages.query import BadQuery, Query


def image_file(width: int, height: int, form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(file, form)
    return file.getvalue()


def size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_longer_side_is_resized_and_the_aspect_ratio_kept(form: str) -> None:
    resized = images.fit(image_file(400, 200, form), 100)
    assert size(resized) == (100, 50)
    assert resized.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("resolution", [0, 400, 1000])
def test_a_small_enough_image_is_unchanged(resolution: int) -> None:
    data = image_file(400, 200)
    assert images.fit(data, resolution) is data


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0", image_file(64, 64)[:200], b"GIF89a" + b"\0" * 50])
def test_an_undecodable_image_is_rejected(data: bytes) -> None:
    with pytest.raises(BadQuery, match="send a whole JPEG or PNG") as caught:
        images.fit(data, 32)
    assert caught.value.code == "bad_image"


class TestFiles:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "images"
        folder.mkdir()
        (folder / "a.jpg").write_bytes(image_file(8, 8))
        return folder

    def load(self, path: Path, root: Path, max_bytes: int = 100_000) -> bytes:
        return images.load(Query("1", "what?", image_path=path), [root], max_bytes)

    def test_a_file_under_a_root_is_read(self, root: Path) -> None:
        assert self.load(root / "a.jpg", root) == (root / "a.jpg").read_bytes()

    def test_a_path_that_leaves_the_root_is_rejected(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "secret.jpg").write_bytes(image_file(8, 8))
        (root / "b.jpg").symlink_to(tmp_path / "secret.jpg")
        for path in (root / "b.jpg", root / ".." / "secret.jpg", tmp_path / "secret.jpg"):
            with pytest.raises(BadQuery, match="outside image_roots"):
                self.load(path, root)

    def test_a_missing_or_large_file_is_rejected(self, root: Path) -> None:
        with pytest.raises(BadQuery, match="cannot be read"):
            self.load(root / "c.jpg", root)
        with pytest.raises(BadQuery, match="use a smaller one"):
            self.load(root / "a.jpg", root, max_bytes=10)
