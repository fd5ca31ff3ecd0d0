"""The model card of a bundled checkpoint: what was measured, and how to measure it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scenes.question import TYPES
from scenes.scene import FAULTS
from training.evaluate import Graded, accuracy, chance
from training.recipes import Recipe

CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
license: apache-2.0
---
# {name}

A {parameters:.2f} M parameter LLaVA-class model: a SigLIP tower of {tower} layers over {image} px in
patches of {patch} px, a Llama decoder of {decoder} layers, both {width} wide. It answers short questions
about drawn camera scenes (`scenes/`) and nothing else. It was trained from random weights by `training/`
for {minutes:.0f} minutes ({steps} steps of {batch} images with {questions} questions each) on CPU threads.

## Accuracy

{count} questions of a held-out split, {per_type} of each type; an answer counts only when it is exact.
Chance is the best constant answer of the type. NF4 is the same checkpoint quantised by bitsandbytes on a CPU.

| question | chance | as trained | NF4 |
|---|---|---|---|
{by_type}

| camera | as trained | NF4 |
|---|---|---|
{by_fault}

## Again

```
python -m training render
python -m training train {name} --minutes {minutes:.0f}
python -m training export {name}
```

`curve.csv` has the run's loss and token accuracy. Inputs are resized to {image} x {image} px; answers are
at most {max_tokens} tokens.
"""


def write_card(
    folder: Path,
    recipe: Recipe,
    *,
    parameters: int,
    steps: int,
    seconds: float,
    full: Sequence[Graded],
    nf4: Sequence[Graded],
) -> None:
    """Write `README.md` into the checkpoint folder from what was graded."""
    (folder / "README.md").write_text(
        CARD.format(
            name=recipe.name,
            parameters=parameters / 1e6,
            tower=recipe.tower_layers,
            decoder=recipe.decoder_layers,
            image=recipe.image,
            patch=recipe.patch,
            width=recipe.width,
            batch=recipe.batch,
            questions=recipe.questions,
            max_tokens=recipe.max_tokens,
            minutes=seconds / 60,
            steps=steps,
            count=len(full),
            per_type=len(full) // len(TYPES),
            by_type=_rows(TYPES, chance(full), accuracy(full, "type"), accuracy(nf4, "type")),
            by_fault=_rows(FAULTS, accuracy(full, "fault"), accuracy(nf4, "fault")),
        )
    )


def _rows(names: Sequence[str], *columns: Mapping[str, float]) -> str:
    rows = [(name, *(column[name] for column in columns)) for name in names]
    rows.append(("mean", *(sum(column.values()) / len(column) for column in columns)))
    return "\n".join(f"| {name} | " + " | ".join(f"{v:.1%}" for v in values) + " |" for name, *values in rows)
