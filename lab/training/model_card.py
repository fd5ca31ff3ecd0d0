"""The model card of a bundled checkpoint: what was measured, and how to measure it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.scenes.question import TYPES
from lab.scenes.scene import FAULTS
from lab.training.evaluate import Graded, accuracy, chance
from lab.training.recipes import RECIPES, Recipe

CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
license: apache-2.0
---
# {name}

A {parameters:.2f} M parameter LLaVA-class model: a SigLIP tower of {tower} layers in patches of {patch} px,
a Llama decoder of {decoder} layers, both {width} wide. It sees images at {small} or {large} px and answers
short questions about drawn camera scenes (`scenes/`), and nothing else.

{origin} by `training/` on a CPU for {minutes:.0f} minutes
({steps} steps of {batch} images with {questions} questions each).

## Accuracy

{count} questions of a held-out split, {per_type} of each type; an answer counts only when it is exact. Chance
is the best constant answer of the type. NF4 is the same checkpoint quantised by bitsandbytes on a CPU.

| question | chance | {columns} |
|---|---|{rules}
{by_type}

| camera | {columns} |
|---|{rules}
{by_fault}

## Cost

| | {sides} |
|---|{side_rules}
| image tokens | {tokens} |
| million floating-point operations an answer | {operations} |

Operations are counted, not timed: the time of a model this small is that of Python around the arithmetic.

## Again

```
{before}
{again}
python -m lab.training export {name}
```

`curve.csv` has the run's losses and token accuracy (`exact`). Answers are at most {max_tokens} tokens.
"""

RANDOM = """\
It began with random weights. Its decoder was trained for {minutes:.0f} minutes ({steps} steps) on scenes in
symbols, then the whole"""
PRUNED = """\
It began as `{larger}` with layers of its tower left out, and was trained"""


@dataclass(frozen=True)
class Trained:
    """A recipe with what its training took, and the operations of an answer by resolution."""

    recipe: Recipe
    parameters: int
    steps: int
    seconds: float
    told_steps: int
    told_seconds: float
    operations: Mapping[int, int]


def write_card(folder: Path, trained: Trained, graded: Mapping[str, Sequence[Graded]]) -> None:
    """Write `README.md` into the checkpoint folder; `graded` by the heading of its column."""
    recipe = trained.recipe
    first = next(iter(graded.values()))
    (folder / "README.md").write_text(
        CARD.format(
            name=recipe.name,
            parameters=trained.parameters / 1e6,
            tower=recipe.tower_layers,
            decoder=recipe.decoder_layers,
            small=recipe.resolutions[0],
            large=recipe.resolutions[1],
            patch=recipe.patch,
            width=recipe.width,
            batch=recipe.batch,
            questions=recipe.questions,
            max_tokens=recipe.max_tokens,
            origin=_origin(trained),
            before=_before(trained),
            again=_again(trained),
            minutes=trained.seconds / 60,
            steps=trained.steps,
            count=len(first),
            per_type=len(first) // len(TYPES),
            sides=" | ".join(f"{side} px" for side in recipe.resolutions),
            side_rules="---|" * len(recipe.resolutions),
            tokens=" | ".join(str(recipe.side(side) ** 2) for side in recipe.resolutions),
            operations=" | ".join(f"{trained.operations[side] / 1e6:.0f}" for side in recipe.resolutions),
            columns=" | ".join(graded),
            rules="---|" * len(graded),
            by_type=_rows(TYPES, chance(first), *(accuracy(column, "type") for column in graded.values())),
            by_fault=_rows(FAULTS, *(accuracy(column, "fault") for column in graded.values())),
        )
    )


def _origin(trained: Trained) -> str:
    if trained.recipe.pruned_from is not None:
        return PRUNED.format(larger=trained.recipe.pruned_from)
    return RANDOM.format(minutes=trained.told_seconds / 60, steps=trained.told_steps)


def _before(trained: Trained) -> str:
    larger = trained.recipe.pruned_from
    if larger is not None:
        first = "".join(f" up to step {steps}" for steps in RECIPES[larger].goes[:1])
        return f"# after the same for {larger}{first}"
    reason = f"python -m lab.training reason {trained.recipe.name} {trained.told_steps}"
    return f"python -m lab.training render\n{reason}"


def _again(trained: Trained) -> str:
    goes = (*trained.recipe.goes, trained.steps)
    return "\n".join(f"python -m lab.training train {trained.recipe.name} {steps}" for steps in goes)


def _rows(names: Sequence[str], *columns: Mapping[str, float]) -> str:
    rows = [(name, *(column[name] for column in columns)) for name in names]
    rows.append(("mean", *(sum(column.values()) / len(column) for column in columns)))
    return "\n".join(f"| {name} | " + " | ".join(f"{v:.1%}" for v in values) + " |" for name, *values in rows)
