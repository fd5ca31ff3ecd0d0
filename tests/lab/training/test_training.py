"""A training lowers its loss, can be resumed, and exports an ordinary checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the vlm extra is not installed")

from lab.scenes.question import TYPES, ask  # noqa: E402
from lab.training.cell_classifier import ATTRIBUTES, cell_labels, needed_attributes  # noqa: E402
from lab.training.dataset import TRAIN, render_split, scene_at  # noqa: E402
from lab.training.decoder_trainer import DecoderTrainer  # noqa: E402
from lab.training.evaluate import accuracy, chance, grade, held_out  # noqa: E402
from lab.training.export import export  # noqa: E402
from lab.training.grounding import evidence  # noqa: E402
from lab.training.model import ANSWER, END, build_tokenizer  # noqa: E402
from lab.training.packing import IGNORED, pack  # noqa: E402
from lab.training.recipes import Recipe  # noqa: E402
from lab.training.vlm_trainer import VlmTrainer  # noqa: E402

pytestmark = pytest.mark.timeout(600)
TINY = Recipe(
    "tiny",
    (16, 32),
    patch=4,
    width=64,
    tower_layers=1,
    decoder_layers=2,
    batch=8,
    learning_rate=3e-3,
    large_shares=(1.0, 1.0),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of a few scenes."""
    runs = tmp_path_factory.mktemp("runs")
    render_split(runs, TRAIN, TINY.resolutions, 0, 24, 24)
    torch.set_num_threads(1)
    return runs


def test_any_text_can_be_encoded_and_decoded() -> None:
    tokenizer = build_tokenizer(["is there a red circle?", "yes"] * 10)
    for text in ("is there a red circle?", "Wörter 123 你好", " spaces  too "):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_packed_questions_do_not_see_each_other() -> None:
    questions = ask(scene_at(TRAIN, 0), np.random.default_rng(0), 3)
    tokenizer = build_tokenizer(text for q in questions for text in (q.text, q.answer))
    packed = pack([questions], tokenizer, prefix=4)
    lengths = [
        len(tokenizer.encode(q.text + ANSWER + q.answer + END, add_special_tokens=False)) for q in questions
    ]
    first, second = 4, 4 + lengths[0]
    assert packed.mask[0, 0, second, :4].all(), "every question attends to the image"
    assert not packed.mask[0, 0, second, first:second].any(), "and to no other question"
    assert packed.positions[0, first] == packed.positions[0, second] == 4
    answers = packed.labels[0] != IGNORED
    assert tokenizer.decode(packed.ids[0][answers]) == "".join(q.answer + END for q in questions)


def test_cell_labels_cover_the_whole_scene() -> None:
    scene = scene_at(TRAIN, 3)
    labels = cell_labels([scene])[0]
    for thing in scene.things:
        assert (labels[thing.row, thing.column, :4] > 0).all()
    filled = len(scene.things) + 2 * bool(scene.plate) + 4 * bool(scene.gauge) + bool(scene.sign)
    assert int((labels[..., 0] > 0).sum()) == filled


def test_a_tower_learns_only_the_attributes_that_its_questions_need() -> None:
    assert needed_attributes(TYPES) == tuple(ATTRIBUTES)
    reading = ("kind", "colour", "character 0", "character 1", "character 2")
    assert needed_attributes(["reading", "colour"]) == reading
    scenes = [scene_at(TRAIN, index) for index in range(40)]
    whole, some = cell_labels(scenes), cell_labels(scenes, needed_attributes(["texture"]))
    for number, name in enumerate(ATTRIBUTES):
        assert whole[..., number].any()
        if name in ("kind", "colour", "texture"):
            assert torch.equal(some[..., number], whole[..., number])
        else:
            assert not some[..., number].any()


def test_evidence_is_the_cells_that_the_answer_depends_on() -> None:
    rng = np.random.default_rng(0)
    for index in range(60):
        scene = scene_at(TRAIN, index)
        things = {thing.row * 4 + thing.column: thing for thing in scene.things}
        for question in ask(scene, rng, 6, ["colour", "shape", "two_hop", "counting", "existence"]):
            _, about = evidence(question, scene)
            if question.type == "counting":
                assert str(len(about)) == question.answer
            elif question.type == "existence":
                assert ("yes" if about else "no") == question.answer
            else:
                (cell,) = about
                assert question.answer in (things[cell].colour, things[cell].shape)


@pytest.mark.slow
def test_a_training_lowers_its_loss_and_resumes_after_an_interruption(folder: Path) -> None:
    trainer = DecoderTrainer(TINY, folder)
    trainer.train(0)
    before, _ = trainer._losses()
    for _ in range(150):
        trainer._train_step()
    after, _ = trainer._losses()
    assert after["answer"] < 0.8 * before["answer"]
    trainer.step = 41
    trainer.save()
    resumed = DecoderTrainer(TINY, folder)
    assert resumed.resume()
    assert resumed.step == 41
    expected, losses = trainer._losses()[0], resumed._losses()[0]
    assert all(torch.equal(expected[name], losses[name]) for name in expected)


def test_a_model_starts_with_its_trained_decoder(folder: Path) -> None:
    decoder = DecoderTrainer(TINY, folder)
    decoder.train(0)
    trainer = VlmTrainer(TINY, folder)
    trainer.load_decoder()
    assert torch.equal(trainer.model.lm_head.weight, decoder.model.lm_head.weight)
    assert set(trainer._losses()[0]) == {"grid", "likeness"}, "at first only the tower learns"
    trainer.progress = 1.0
    for _ in range(10):
        assert {"answer", "grounding", "attention"} <= set(trainer._losses()[0])


def test_a_pruned_model_starts_with_every_second_layer_of_a_larger_tower(folder: Path) -> None:
    larger = VlmTrainer(replace(TINY, name="larger", tower_layers=4), folder)
    larger.train(0)
    pruned = VlmTrainer(replace(TINY, name="pruned", tower_layers=2), folder)
    pruned.prune(larger)
    layers, all_layers = (trainer.model.model.vision_tower.encoder.layers for trainer in (pruned, larger))
    for layer, origin in zip(layers, (all_layers[0], all_layers[2]), strict=True):
        assert torch.equal(layer.mlp.fc1.weight, origin.mlp.fc1.weight)
    assert torch.equal(pruned.model.lm_head.weight, larger.model.lm_head.weight)


def test_an_exported_model_can_be_graded(folder: Path, tmp_path: Path) -> None:
    trainer = VlmTrainer(TINY, folder)
    trainer.train(0)
    trainer._train_step()
    trainer._report()
    export(trainer, tmp_path / "tiny")
    for resolution in TINY.resolutions:
        graded = grade(tmp_path / "tiny", 1, "none", resolution)
        assert {answer.question.type for answer in graded} == set(TYPES)
        assert set(chance(graded)) == set(accuracy(graded, "type"))


def test_held_out_questions_have_all_types_equally_often() -> None:
    types = [question.type for _, question in held_out(2)]
    assert len(types) == 2 * len(set(types))
