"""The commands that render the scenes, train a bundled model on them, and export it with its card."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track

from agent.answering.drawn_scenes import FILE, DrawnScenes
from inarvl import logs
from lab.training.curves import draw_curves
from lab.training.dataset import HELD_OUT, TRAIN, render_split
from lab.training.decoder_trainer import DecoderTrainer
from lab.training.evaluate import grade
from lab.training.export import export as write_checkpoint
from lab.training.flops import count_flops
from lab.training.model_card import TrainingSummary, write_card
from lab.training.recipes import RECIPES
from lab.training.signal_ranges import SIZES, fit, picture_signals, scene_signals, write
from lab.training.vlm_trainer import VlmTrainer
from lab.training.wide_heads import widen_heads
from vlm.checkpoint import Quantization

CHUNK = 500
FORMS: dict[Quantization, str] = {"none": "as trained", "nf4": "NF4"}
BUNDLED = Path(__file__).parents[2] / "vlm" / "bundled"
Folder = Annotated[Path, typer.Option(help="Folder of the rendered images and the saved trainings.")]

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def render(scenes: int = 40_000, folder: Folder = Path("runs")) -> None:
    """Render the training scenes at the resolutions of all models."""
    folder.mkdir(exist_ok=True)
    sizes = sorted({side for recipe in RECIPES.values() for side in recipe.resolutions})
    render_split(folder, TRAIN, sizes, 0, 0, scenes)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        chunks = [
            pool.submit(render_split, folder, TRAIN, sizes, first, min(first + CHUNK, scenes), scenes)
            for first in range(0, scenes, CHUNK)
        ]
        for chunk in track(chunks, "Rendering"):
            chunk.result()


@app.command()
def reason(name: str, steps: int, threads: int = 2, seed: int = 0, folder: Folder = Path("runs")) -> None:
    """Train the decoder of a model up to a total number of steps; an interrupted training is resumed."""
    logs.configure()
    torch.set_num_threads(threads)
    trainer = DecoderTrainer(RECIPES[name], folder, seed=seed)
    trainer.resume()
    trainer.train(steps)


@app.command()
def train(name: str, steps: int, threads: int = 2, seed: int = 0, folder: Folder = Path("runs")) -> None:
    """Train a whole model, after its decoder, up to a total number of steps; resumed in the same way."""
    logs.configure()
    torch.set_num_threads(threads)
    recipe = RECIPES[name]
    trainer = VlmTrainer(recipe, folder, seed=seed)
    if not trainer.resume():
        if recipe.pruned_from is None:
            trainer.load_decoder()
        else:
            trainer.prune(VlmTrainer(RECIPES[recipe.pruned_from], folder, seed=seed))
    trainer.train(steps)


@app.command()
def export(
    name: str, per_type: int = 100, threads: int = 1, folder: Folder = Path("runs"), into: Path = BUNDLED
) -> None:
    """Write the checkpoint of a trained model, grade it on held-out scenes, and write its card."""
    torch.set_num_threads(threads)
    recipe = RECIPES[name]
    trainer, decoder = VlmTrainer(recipe, folder), DecoderTrainer(recipe, folder)
    for part in (trainer, decoder):
        if not part.resume():
            raise typer.BadParameter(f"{part.checkpoint} is missing: train {part.name} first")
    parameters = sum(p.numel() for p in trainer.model.parameters())
    write_checkpoint(trainer, into / name)
    graded = {
        f"{resolution} px, {FORMS[form]}": grade(into / name, per_type, form, resolution)
        for resolution in recipe.resolutions
        for form in FORMS
    }
    flops = {resolution: count_flops(into / name, resolution) for resolution in recipe.resolutions}
    training = TrainingSummary(
        recipe, parameters, trainer.step, trainer.spent_s, decoder.step, decoder.spent_s, flops
    )
    write_card(into / name, training, graded)
    typer.echo((into / name / "README.md").read_text())


@app.command()
def widen(name: str, into: Path, width: int = 64) -> None:
    """Copy a bundled model with wider attention heads and the same answers, for vLLM on a CPU."""
    widen_heads(BUNDLED / name, into, width)


@app.command()
def curves(into: Path = Path("docs/pictures/training.svg"), bundled: Path = BUNDLED) -> None:
    """Plot the learning curves of the bundled models."""
    draw_curves({path.parent.name: path for path in sorted(bundled.glob("*/curve.csv"))}, into)


@app.command()
def ranges(
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of pictures that are no drawn scenes, to measure only."),
    ] = None,
    scenes: Annotated[int, typer.Option(help="Scenes of each camera fault.")] = 600,
    into: Path = FILE,
) -> None:
    """Write the signal ranges of drawn scenes, and print the shares of pictures outside of them."""
    content = fit(TRAIN, scenes)
    write(content, into)
    drawn = DrawnScenes.from_json(json.loads(into.read_text()))
    for size, signals in zip(SIZES, zip(*scene_signals(HELD_OUT, 2 * scenes), strict=True), strict=True):
        seen = [drawn.contain(each) for each in signals]
        typer.echo(
            f"held-out scenes of {size} px: {1 - sum(seen) / len(seen):.2%} of {len(seen)} are outside"
        )
    for folder in pictures or []:
        seen = [drawn.contain(each) for _, each in picture_signals(folder)]
        typer.echo(f"{folder.name}: {1 - sum(seen) / len(seen):.1%} of {len(seen)} are outside")


if __name__ == "__main__":
    app()
