"""Names under which images are met again."""

from io import BytesIO

import numpy as np
from PIL import Image

from controller.signals import Signals, image_signals, text_signals

BLOCKS = np.random.default_rng(0).integers(0, 2, (8, 8)) * 200


def looks(side: int, question: str = "how many squares are there?", shift: int = 0) -> tuple[str, ...]:
    picture = Image.fromarray((np.roll(BLOCKS, shift, axis=1) + 20).astype(np.uint8))
    data = BytesIO()
    picture.resize((side, side), Image.Resampling.NEAREST).save(data, "PNG")
    return Signals(image_signals(data.getvalue()), text_signals(question)).looks


def test_the_same_picture_and_question_have_the_same_looks() -> None:
    assert looks(64) == looks(64)


def test_the_same_drawing_at_another_size_is_another_picture_of_the_same_scene() -> None:
    (picture, *scene), (other, *same) = looks(64), looks(128)
    assert picture != other
    assert scene == same


def test_another_question_about_the_scene_is_told_apart() -> None:
    one, other = looks(64), looks(64, "is there a red square?")
    assert one[:2] == other[:2]
    assert one[2] != other[2]


def test_another_drawing_shares_nothing() -> None:
    assert not set(looks(64)) & set(looks(64, shift=3))
