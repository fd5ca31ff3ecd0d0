"""Scenes are reproducible, and their questions have correct answers."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from lab.scenes.question import TYPES, ask
from lab.scenes.render import render
from lab.scenes.scene import FAULTS, GRID, Gauge, Plate, Scene, Sign, Thing, draw


def scene(*things: Thing, fault: str = "none") -> Scene:
    return Scene(things, Plate(3, 0, "42"), Gauge(2, 2, 7), Sign(0, 3, "stop"), fault, 0.8, 5)


RED_CIRCLE = Thing(0, 0, "circle", "red", True, "striped")
BLUE_STAR = Thing(0, 1, "star", "blue", False, "plain")
BLUE_CIRCLE = Thing(1, 0, "circle", "blue", False, "dotted")
KNOWN = scene(RED_CIRCLE, BLUE_STAR, BLUE_CIRCLE)
ANSWERS = {
    "is there a red circle?": "yes",
    "is there a red star?": "no",
    "what colour is the star?": "blue",
    "what shape is the red thing?": "circle",
    "is the red circle plain, striped or dotted?": "striped",
    "how many circles are there?": "2",
    "how many blue things are there?": "2",
    "are there more blue things than red things?": "yes",
    "is the red circle larger than the blue circle?": "yes",
    "is the red circle left of the blue star?": "yes",
    "is the red circle below the blue circle?": "no",
    "what number is printed?": "42",
    "what does the gauge show?": "7",
    "which sign is it?": "stop",
    "what colour is the thing just right of the red circle?": "blue",
    "what shape is the thing just below the red circle?": "circle",
}


def test_questions_about_a_known_scene_have_the_correct_answers() -> None:
    asked = {q.text: q.answer for q in ask(KNOWN, np.random.default_rng(0), 3000)}
    assert {text: asked[text] for text in ANSWERS} == ANSWERS


def test_the_same_seed_gives_the_same_scene_and_questions() -> None:
    first, second = (draw(np.random.default_rng(3)) for _ in range(2))
    assert first == second
    assert render(first, 64).tobytes() == render(second, 64).tobytes()
    assert ask(first, np.random.default_rng(1), 20) == ask(second, np.random.default_rng(1), 20)


def test_objects_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        drawn = draw(rng)
        cells = [(t.row, t.column) for t in drawn.things]
        if drawn.plate:
            cells += [(drawn.plate.row, drawn.plate.column + i) for i in range(2)]
        if drawn.gauge:
            cells += [(drawn.gauge.row + i, drawn.gauge.column + j) for i in range(2) for j in range(2)]
        if drawn.sign:
            cells.append((drawn.sign.row, drawn.sign.column))
        assert len(set(cells)) == len(cells)
        assert all(0 <= row < GRID and 0 <= column < GRID for row, column in cells)


def test_no_constant_answer_is_correct_much_more_often_than_chance() -> None:
    rng = np.random.default_rng(0)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for _ in range(1500):
        for question in ask(draw(rng), rng, 6):
            answers[question.type][question.answer] += 1
    assert set(answers) == set(TYPES)
    for name, counts in answers.items():
        kinds = len(counts)
        limit = 0.56 if kinds == 2 else max(0.4, 2.0 / kinds)
        assert max(counts.values()) / counts.total() < limit, (name, counts.most_common(3))


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "none"])
def test_each_camera_fault_changes_the_image(fault: str) -> None:
    things = KNOWN.things
    clear, faulty = (np.asarray(render(scene(*things, fault=f)), dtype=float) for f in ("none", fault))
    assert np.abs(clear - faulty).mean() > 1.0


def test_an_image_has_the_requested_size() -> None:
    assert render(KNOWN, 96).size == (96, 96)
