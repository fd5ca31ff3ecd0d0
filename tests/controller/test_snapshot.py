"""What was learned comes back whole, or not at all."""

import copy
import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.controller import Controller
from controller.errors import SnapshotError
from controller.settings import ControllerSettings

Make = Callable[..., object]


@pytest.fixture
def grown(make_world: Make, make_controller: Make, run: Make, settings: ControllerSettings) -> Controller:
    controller = make_controller(0, settings)
    run(controller, make_world(0, pictures=20), settings, 300)
    assert isinstance(controller, Controller)
    return controller


def test_a_restored_controller_decides_as_the_saved_one(
    grown: Controller, make_world: Make, run: Make, settings: ControllerSettings
) -> None:
    saved = json.loads(json.dumps(grown.snapshot()))
    other = Controller(settings, rng=np.random.default_rng(5))
    other.restore(saved)
    assert other.snapshot() == grown.snapshot()
    assert other.status() == grown.status()
    runs = []
    for controller in (grown, other):
        controller._rng = np.random.default_rng(77)
        runs.append(run(controller, make_world(9, pictures=20), settings, 150, start=300))
    assert runs[0].records == runs[1].records
    assert other.snapshot() == grown.snapshot()


def test_a_snapshot_does_not_change_afterwards(
    grown: Controller, make_world: Make, run: Make, settings: ControllerSettings
) -> None:
    saved = grown.snapshot()
    kept = copy.deepcopy(saved)
    run(grown, make_world(1), settings, 20, start=300)
    assert saved == kept
    assert grown.snapshot() != kept


def paths(held: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a snapshot."""
    found = [path] if path else []
    steps = held.items() if isinstance(held, dict) else enumerate(held[:2]) if isinstance(held, list) else ()
    for step, below in steps:
        found += paths(below, (*path, step))
    return found


def at(held: object, path: Sequence[object]) -> object:
    for step in path:
        held = held[step]  # type: ignore[index]
    return held


SPOILT = (None, "text", [], {}, float("nan"), float("inf"), [1.0, "a"], -1e300)
WRONG = (0.0, 1.0, -1.0, 1e9, -1e9)


def test_no_damage_is_taken_over_and_none_changes_the_controller(grown: Controller) -> None:
    """Places replaced by what cannot be there are refused, or what they make can be saved."""
    whole = grown.snapshot()
    places = paths(whole)
    rng = np.random.default_rng(0)
    refused = 0
    for index in rng.choice(len(places), 150, replace=False):
        damaged = copy.deepcopy(whole)
        *way, last = places[index]
        at(damaged, way)[last] = SPOILT[int(rng.integers(len(SPOILT)))]  # type: ignore[index]
        try:
            grown.restore(damaged)
        except SnapshotError:
            refused += 1
        else:
            json.dumps(grown.snapshot(), allow_nan=False)
            grown.restore(whole)
        assert grown.snapshot() == whole
    assert refused > 120


def test_wrong_numbers_are_refused_or_survived(
    grown: Controller, make_world: Make, run: Make, settings: ControllerSettings
) -> None:
    whole = grown.snapshot()
    numbers = [place for place in paths(whole) if isinstance(at(whole, place), float | int)]
    rng = np.random.default_rng(1)
    for index in rng.permutation(len(numbers))[:200]:
        damaged = copy.deepcopy(whole)
        *way, last = numbers[index]
        at(damaged, way)[last] = WRONG[int(rng.integers(len(WRONG)))]  # type: ignore[index]
        try:
            grown.restore(damaged)
        except SnapshotError:
            continue
        run(grown, make_world(1), settings, 5, start=300)
        json.dumps(grown.snapshot(), allow_nan=False)


@given(st.recursive(st.none() | st.floats() | st.text(), lambda below: st.dictionaries(st.text(), below)))
def test_what_is_no_snapshot_is_refused(held: object) -> None:
    with pytest.raises(SnapshotError):
        Controller(ControllerSettings(), rng=np.random.default_rng(0)).restore(held)


def test_another_version_is_refused(grown: Controller) -> None:
    with pytest.raises(SnapshotError, match="version 99"):
        grown.restore({**grown.snapshot(), "version": 99})
