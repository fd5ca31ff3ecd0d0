"""The model card of a bundled checkpoint: its measurements, and the commands that reproduce it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.scenes.question import TYPES
from lab.scenes.scene import FAULTS
from lab.training.evaluate import GradedAnswer, accuracy, chance
from lab.training.recipes import RECIPES, Recipe

CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
license: apache-2.0
---
# {name}

A {parameters:.2f} M parameter LLaVA-class model: a SigLIP tower of {tower} layers with patches of {patch} px,
and a Llama decoder of {decoder} layers, both {width} wide. It sees images at {small} or {large} px and
answers short questions about drawn camera scenes (`lab/scenes/`), and nothing else.

{origin} trained with
`lab/training/` on a CPU for {minutes:.0f} minutes ({steps} steps of {batch} images with {questions}
questions each).

## Accuracy

{count} questions of a held-out split, {per_type} of each type. An answer is correct only if it is equal to
the expected one. Chance is the accuracy of the best constant answer of the type. NF4 is the same
checkpoint, quantised by bitsandbytes on a CPU.

| question | chance | {columns} |
|---|---|{rules}
{by_type}

| camera fault | {columns} |
|---|{rules}
{by_fault}

## Cost

| | {sides} |
|---|{side_rules}
| image tokens | {tokens} |
| million floating-point operations per answer | {operations} |

Operations are counted, not timed: most of the time of such a small model is spent in Python, not in
arithmetic.

## Reproduction

```
{before}
{train}
python -m lab.training export {name}
```

`curve.csv` has the losses and the token accuracy (`exact`) of the training. Answers have at most
{max_tokens} tokens.
"""

RANDOM = """\
The training started from random weights. The decoder was trained for {minutes:.0f} minutes ({steps} steps) on
scenes without images; then the whole model was"""
PRUNED = """\
The training started from `{larger}` with {kept} of the {all} layers of its tower. The model was"""


@dataclass(frozen=True)
class TrainingSummary:
    """What the card reports of a training.

    Attributes:
        parameters: Number of the model's parameters.
        steps, seconds: Of the training of the whole model.
        decoder_steps, decoder_seconds: Of the training of its decoder.
        flops: Floating-point operations of an answer by resolution.
    """

    recipe: Recipe
    parameters: int
    steps: int
    seconds: float
    decoder_steps: int
    decoder_seconds: float
    flops: Mapping[int, int]


def write_card(folder: Path, training: TrainingSummary, graded: Mapping[str, Sequence[GradedAnswer]]) -> None:
    """Writes `README.md` into the checkpoint folder.

    Args:
        graded: Answers by the heading of their column.
    """
    recipe = training.recipe
    first = next(iter(graded.values()))
    (folder / "README.md").write_text(
        CARD.format(
            name=recipe.name,
            parameters=training.parameters / 1e6,
            tower=recipe.tower_layers,
            decoder=recipe.decoder_layers,
            small=recipe.resolutions[0],
            large=recipe.resolutions[1],
            patch=recipe.patch,
            width=recipe.width,
            batch=recipe.batch,
            questions=recipe.questions,
            max_tokens=recipe.max_tokens,
            origin=_origin(training),
            before=_commands_before(training),
            train=_train_commands(training),
            minutes=training.seconds / 60,
            steps=training.steps,
            count=len(first),
            per_type=len(first) // len(TYPES),
            sides=" | ".join(f"{side} px" for side in recipe.resolutions),
            side_rules="---|" * len(recipe.resolutions),
            tokens=" | ".join(str(recipe.patches_per_side(side) ** 2) for side in recipe.resolutions),
            operations=" | ".join(f"{training.flops[side] / 1e6:.0f}" for side in recipe.resolutions),
            columns=" | ".join(graded),
            rules="---|" * len(graded),
            by_type=_rows(TYPES, chance(first), *(accuracy(column, "type") for column in graded.values())),
            by_fault=_rows(FAULTS, *(accuracy(column, "fault") for column in graded.values())),
        )
    )


def _origin(training: TrainingSummary) -> str:
    if training.recipe.pruned_from is not None:
        larger = RECIPES[training.recipe.pruned_from]
        return PRUNED.format(larger=larger.name, kept=training.recipe.tower_layers, all=larger.tower_layers)
    return RANDOM.format(minutes=training.decoder_seconds / 60, steps=training.decoder_steps)


def _commands_before(training: TrainingSummary) -> str:
    larger = training.recipe.pruned_from
    if larger is not None:
        last = "".join(f" {larger} {steps}" for steps in RECIPES[larger].restarts[:1])
        return f"# first the commands of {larger}, up to train{last}"
    reason = f"python -m lab.training reason {training.recipe.name} {training.decoder_steps}"
    return f"python -m lab.training render\n{reason}"


def _train_commands(training: TrainingSummary) -> str:
    ends = (*training.recipe.restarts, training.steps)
    return "\n".join(f"python -m lab.training train {training.recipe.name} {steps}" for steps in ends)


def _rows(names: Sequence[str], *columns: Mapping[str, float]) -> str:
    rows = [(name, *(column[name] for column in columns)) for name in names]
    rows.append(("mean", *(sum(column.values()) / len(column) for column in columns)))
    return "\n".join(f"| {name} | " + " | ".join(f"{v:.1%}" for v in values) + " |" for name, *values in rows)
