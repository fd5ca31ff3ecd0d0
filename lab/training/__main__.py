"""Commands: render the scenes, train a bundled model on them, export it with its card."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track

from inarvl import logs
from lab.training.curves import draw_curves
from lab.training.dataset import TRAIN, render_split
from lab.training.decoder_trainer import Reasoning
from lab.training.evaluate import grade
from lab.training.export import export as write_checkpoint
from lab.training.flops import flops
from lab.training.model_card import Trained, write_card
from lab.training.recipes import RECIPES
from lab.training.vlm_trainer import Seeing
from vlm.checkpoint import Quantization

CHUNK = 500
FORMS: dict[Quantization, str] = {"none": "as trained", "nf4": "NF4"}
BUNDLED = Path(__file__).parents[2] / "vlm" / "bundled"
Folder = Annotated[Path, typer.Option(help="Where pictures and unfinished runs are kept.")]

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def render(scenes: int = 40_000, folder: Folder = Path("runs")) -> None:
    """Draw the training scenes at the size each model sees."""
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
    """Train the decoder of a model for so many steps in all, going on where an interrupted run left off."""
    logs.configure()
    torch.set_num_threads(threads)
    run = Reasoning(RECIPES[name], folder, seed=seed)
    run.resume()
    run.train(steps)


@app.command()
def train(name: str, steps: int, threads: int = 2, seed: int = 0, folder: Folder = Path("runs")) -> None:
    """Train a model whose decoder can reason for so many steps in all, going on likewise."""
    logs.configure()
    torch.set_num_threads(threads)
    recipe = RECIPES[name]
    run = Seeing(recipe, folder, seed=seed)
    if not run.resume():
        if recipe.pruned_from is None:
            run.take_decoder()
        else:
            run.prune(Seeing(RECIPES[recipe.pruned_from], folder, seed=seed))
    run.train(steps)


@app.command()
def export(
    name: str, per_type: int = 100, threads: int = 1, folder: Folder = Path("runs"), into: Path = BUNDLED
) -> None:
    """Write a trained model's checkpoint, grade it on the held-out scenes, and write its card."""
    torch.set_num_threads(threads)
    recipe = RECIPES[name]
    run, told = Seeing(recipe, folder), Reasoning(recipe, folder)
    for part in (run, told):
        if not part.resume():
            raise typer.BadParameter(f"{part.checkpoint} is missing: train {part.name} first")
    parameters = sum(p.numel() for p in run.model.parameters())
    write_checkpoint(run, into / name)
    graded = {
        f"{resolution} px, {FORMS[form]}": grade(into / name, per_type, form, resolution)
        for resolution in recipe.resolutions
        for form in FORMS
    }
    operations = {resolution: flops(into / name, resolution) for resolution in recipe.resolutions}
    trained = Trained(recipe, parameters, run.step, run.spent_s, told.step, told.spent_s, operations)
    write_card(into / name, trained, graded)
    typer.echo((into / name / "README.md").read_text())


@app.command()
def curves(into: Path = Path("docs/pictures/training.svg"), bundled: Path = BUNDLED) -> None:
    """Draw the loss and accuracy curves of the bundled models."""
    draw_curves({path.parent.name: path for path in sorted(bundled.glob("*/curve.csv"))}, into)


if __name__ == "__main__":
    app()
