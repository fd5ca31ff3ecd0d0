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
from training.card import write_card
from training.dataset import TRAIN, render_split
from training.evaluate import grade
from training.export import export as write_checkpoint
from training.recipes import RECIPES
from training.train import Run
from vlm.checkpoint import Quantization

CHUNK = 500
QUANTIZATIONS: tuple[Quantization, Quantization] = ("none", "nf4")
BUNDLED = Path(__file__).parent.parent / "vlm" / "bundled"
Folder = Annotated[Path, typer.Option(help="Where pictures and unfinished runs are kept.")]

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def render(scenes: int = 48_000, folder: Folder = Path("runs")) -> None:
    """Draw the training scenes at the size each model sees."""
    folder.mkdir(exist_ok=True)
    sizes = sorted({recipe.image for recipe in RECIPES.values()})
    render_split(folder, TRAIN, sizes, 0, 0, scenes)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        chunks = [
            pool.submit(render_split, folder, TRAIN, sizes, first, min(first + CHUNK, scenes), scenes)
            for first in range(0, scenes, CHUNK)
        ]
        for chunk in track(chunks, "Rendering"):
            chunk.result()


@app.command()
def train(name: str, minutes: float, threads: int = 2, seed: int = 0, folder: Folder = Path("runs")) -> None:
    """Train a model for so many minutes in all, going on where an interrupted run left off."""
    logs.configure()
    torch.set_num_threads(threads)
    run = Run(RECIPES[name], folder, seed=seed)
    run.resume()
    run.train(minutes * 60)


@app.command()
def export(name: str, per_type: int = 200, folder: Folder = Path("runs"), into: Path = BUNDLED) -> None:
    """Write a trained model's checkpoint, grade it on the held-out scenes, and write its card."""
    run = Run(RECIPES[name], folder)
    if not run.resume():
        raise typer.BadParameter(f"{run.checkpoint} is missing: train {name} first")
    parameters = sum(p.numel() for p in run.model.parameters())
    write_checkpoint(run, into / name)
    full, nf4 = (grade(into / name, per_type, quantization) for quantization in QUANTIZATIONS)
    write_card(
        into / name,
        run.recipe,
        parameters=parameters,
        steps=run.step,
        seconds=run.spent_s,
        full=full,
        nf4=nf4,
    )
    typer.echo((into / name / "README.md").read_text())


if __name__ == "__main__":
    app()
