"""Training learns, goes on where it stopped, and what it exports is an ordinary checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the vlm extra is not installed")

from lab.scenes.question import TYPES, ask  # noqa: E402
from lab.training.cell_classifier import FACETS, needed, truth  # noqa: E402
from lab.training.dataset import TRAIN, render_split, scene  # noqa: E402
from lab.training.decoder_trainer import Reasoning  # noqa: E402
from lab.training.evaluate import accuracy, chance, grade, held_out  # noqa: E402
from lab.training.export import export  # noqa: E402
from lab.training.grounding import evidence  # noqa: E402
from lab.training.model import ANSWER, END, build_tokenizer  # noqa: E402
from lab.training.packing import IGNORED, pack  # noqa: E402
from lab.training.recipes import Recipe  # noqa: E402
from lab.training.vlm_trainer import Seeing  # noqa: E402

TINY = Recipe(
    "tiny", (16, 32), patch=4, width=64, tower_layers=1, decoder_layers=2, batch=8, rate=3e-3, fine=(1.0, 1.0)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a few scenes."""
    made = tmp_path_factory.mktemp("runs")
    render_split(made, TRAIN, TINY.resolutions, 0, 24, 24)
    torch.set_num_threads(1)
    return made


def test_any_text_survives_the_tokenizer() -> None:
    tokenizer = build_tokenizer(["is there a red circle?", "yes"] * 10)
    for text in ("is there a red circle?", "Wörter 123 你好", " spaces  too "):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_packed_questions_do_not_see_each_other() -> None:
    questions = ask(scene(TRAIN, 0), np.random.default_rng(0), 3)
    tokenizer = build_tokenizer(text for q in questions for text in (q.text, q.answer))
    packed = pack([questions], tokenizer, prefix=4)
    lengths = [
        len(tokenizer.encode(q.text + ANSWER + q.answer + END, add_special_tokens=False)) for q in questions
    ]
    first, second = 4, 4 + lengths[0]
    assert packed.mask[0, 0, second, :4].all(), "every question sees the image"
    assert not packed.mask[0, 0, second, first:second].any(), "and no other question"
    assert packed.positions[0, first] == packed.positions[0, second] == 4
    answered = packed.labels[0] != IGNORED
    assert tokenizer.decode(packed.ids[0][answered]) == "".join(q.answer + END for q in questions)


def test_the_grid_holds_what_the_scene_does() -> None:
    drawn = scene(TRAIN, 3)
    labels = truth([drawn])[0]
    for thing in drawn.things:
        assert (labels[thing.row, thing.column, :4] > 0).all()
    filled = len(drawn.things) + 2 * bool(drawn.plate) + 4 * bool(drawn.gauge) + bool(drawn.sign)
    assert int((labels[..., 0] > 0).sum()) == filled


def test_a_model_is_taught_to_see_only_what_it_is_asked_about() -> None:
    assert needed(TYPES) == tuple(FACETS)
    assert needed(["reading", "colour"]) == ("kind", "colour", "character 0", "character 1", "character 2")
    drawn = [scene(TRAIN, index) for index in range(40)]
    whole, some = truth(drawn), truth(drawn, needed(["texture"]))
    for place, facet in enumerate(FACETS):
        assert whole[..., place].any()
        if facet in ("kind", "colour", "texture"):
            assert torch.equal(some[..., place], whole[..., place])
        else:
            assert not some[..., place].any()


def test_words_point_at_the_cells_that_answers_are_made_from() -> None:
    """Every answer that is a thing's colour or shape can be read off the cells of its question's evidence."""
    rng = np.random.default_rng(0)
    for index in range(60):
        drawn = scene(TRAIN, index)
        at = {thing.row * 4 + thing.column: thing for thing in drawn.things}
        for question in ask(drawn, rng, 6, ["colour", "shape", "two_hop", "counting", "existence"]):
            _, about = evidence(question, drawn)
            if question.type == "counting":
                assert str(len(about)) == question.answer
            elif question.type == "existence":
                assert ("yes" if about else "no") == question.answer
            else:
                (cell,) = about
                assert question.answer in (at[cell].colour, at[cell].shape)


def test_a_run_lowers_its_loss_and_goes_on_after_an_interruption(folder: Path) -> None:
    run = Reasoning(TINY, folder)
    run.train(0)
    before, _ = run._losses()
    for _ in range(150):
        run._learn()
    after, _ = run._losses()
    assert after["answer"] < 0.8 * before["answer"]
    run.step = 41
    run.save()
    again = Reasoning(TINY, folder)
    assert again.resume()
    assert again.step == 41
    ours, theirs = run._losses()[0], again._losses()[0]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_model_begins_with_what_its_decoder_was_told(folder: Path) -> None:
    told = Reasoning(TINY, folder)
    told.train(0)
    run = Seeing(TINY, folder)
    run.take_decoder()
    assert torch.equal(run.model.lm_head.weight, told.model.lm_head.weight)
    assert set(run._losses()[0]) == {"grid", "likeness"}, "its tower learns alone at first"
    run.share = 1.0
    for _ in range(10):
        assert {"answer", "grounding", "attention"} <= set(run._losses()[0])


def test_a_pruned_model_begins_with_every_other_layer_of_a_larger_ones_tower(folder: Path) -> None:
    larger = Seeing(replace(TINY, name="larger", tower_layers=4), folder)
    larger.train(0)
    run = Seeing(replace(TINY, name="pruned", tower_layers=2), folder)
    run.prune(larger)
    layers, all_layers = (one.model.model.vision_tower.encoder.layers for one in (run, larger))
    for layer, origin in zip(layers, (all_layers[0], all_layers[2]), strict=True):
        assert torch.equal(layer.mlp.fc1.weight, origin.mlp.fc1.weight)
    assert torch.equal(run.model.lm_head.weight, larger.model.lm_head.weight)


def test_what_is_exported_is_graded_like_any_checkpoint(folder: Path, tmp_path: Path) -> None:
    run = Seeing(TINY, folder)
    run.train(0)
    run._learn()
    run._report()
    export(run, tmp_path / "tiny")
    for resolution in TINY.resolutions:
        graded = grade(tmp_path / "tiny", 1, "none", resolution)
        assert {one.question.type for one in graded} == set(TYPES)
        assert set(chance(graded)) == set(accuracy(graded, "type"))


def test_the_held_out_questions_are_even_over_types() -> None:
    types = [question.type for _, question in held_out(2)]
    assert len(types) == 2 * len(set(types))
