"""What is remembered of pictures and scenes."""

import json

import numpy as np
import pytest

from controller.errors import SnapshotError
from controller.familiarity import CAPACITY, Familiarity

LOOKS = ("picture", "scene", "asked")
NAME = "differ local/small@96"


def taught(labels: int = 5) -> Familiarity:
    familiarity = Familiarity(0.999)
    for _ in range(labels):
        familiarity.learn(LOOKS, NAME, 0.5, 1.0)
    return familiarity


def test_what_was_never_met_is_not_shifted() -> None:
    familiarity = taught()
    assert not familiarity.shifts(("other", "another", "third"), (NAME,)).any()
    assert not familiarity.shifts((), (NAME,)).any()
    assert familiarity.shift(LOOKS, "differ local/large@96") == 0.0


def test_a_look_is_held_harder_where_its_answers_differed_and_easier_where_not() -> None:
    familiarity = Familiarity(0.999)
    familiarity.learn(LOOKS, NAME, 0.5, 0.0)
    assert familiarity.shift(LOOKS, NAME) < 0.0 < taught().shift(LOOKS, NAME)


def test_a_label_that_was_expected_teaches_nothing() -> None:
    familiarity = Familiarity(0.999)
    familiarity.learn(LOOKS, NAME, 0.4, 0.4)
    assert familiarity.shift(LOOKS, NAME) == 0.0


def test_the_same_scene_in_another_picture_is_known_in_part() -> None:
    familiarity = taught()
    assert 0.0 < familiarity.shift(("new", "scene", "new"), NAME) < familiarity.shift(LOOKS, NAME)


def test_a_sort_of_look_that_tells_nothing_is_no_longer_believed() -> None:
    rng = np.random.default_rng(0)
    familiarity, first = Familiarity(1.0), Familiarity(1.0)
    first.learn(LOOKS, NAME, 0.5, 1.0)
    for number in range(400):
        looks = (f"picture {number}", f"scene {number}", f"asked {number}")
        for _ in range(2):
            p = 1.0 / (1.0 + np.exp(-familiarity.shift(looks, NAME)))
            familiarity.learn(looks, NAME, float(p), float(rng.random() < 0.5))
    familiarity.learn(LOOKS, NAME, 0.5, 1.0)
    assert familiarity.shift(LOOKS, NAME) < first.shift(LOOKS, NAME) / 4


def test_it_holds_a_bounded_number_of_looks() -> None:
    familiarity = taught()
    for number in range(CAPACITY):
        familiarity.learn((f"{number}", "scene", f"asked {number}"), NAME, 0.5, 1.0)
    assert familiarity.shift(("picture", "other", "asked"), NAME) == 0.0
    assert familiarity.shift(("new", "scene", "new"), NAME) != 0.0


def test_a_snapshot_holds_all_and_a_damaged_one_is_refused() -> None:
    familiarity, restored = taught(), Familiarity(0.999)
    held = json.loads(json.dumps(familiarity.snapshot()))
    restored.restore(held)
    assert restored.shift(LOOKS, NAME) == familiarity.shift(LOOKS, NAME)
    held["held"]["scene"][NAME][1] = -1.0
    with pytest.raises(SnapshotError, match="no belief"):
        Familiarity(0.999).restore(held)
