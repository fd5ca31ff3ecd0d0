"""Reads RouterBench (Hu et al. 2024, arXiv 2403.12031) from CSV.

The files have one line per prompt: `sample_id`, `prompt`, `eval_name`, and for each model three columns: its
name (its score, from 0 to 1), `NAME|total_cost` (in USD) and `NAME|model_response`. A score of at least 0.5
counts as right. The published pickles are not read, because a pickle of a table can run code.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from lab.errors import TraceError
from lab.outcomes.outcome_table import OutcomeTable, PublishedQuestion

COST: Final = "|total_cost"
RIGHT: Final = 0.5
COLUMNS: Final = ("sample_id", "prompt", "eval_name")


def read_routerbench(folder: Path) -> OutcomeTable:
    """Reads every CSV file of a folder; lines without all scores are skipped. Raises TraceError."""
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        pickles = ", ".join(path.name for path in folder.glob("*.pkl"))
        convert = 'python -c "import pandas, sys; pandas.read_pickle(sys.argv[1]).to_csv(sys.argv[2])"'
        raise TraceError(
            f"{folder} contains no CSV file"
            + (f"; if you trust {pickles}, convert with: {convert}" if pickles else "")
        )
    models: tuple[str, ...] = ()
    questions: dict[str, PublishedQuestion] = {}
    scores, costs = [], []
    for path in paths:
        for line, row in _rows(path):
            found = tuple(name.removesuffix(COST) for name in row if name.endswith(COST))
            missing = [name for name in (*COLUMNS, *found) if name not in row]
            if missing or not found or found != (models or found):
                raise TraceError(f"{path} lacks {', '.join(missing) or 'the models of the other files'}")
            models = found
            cells = [row[model] for model in models], [row[model + COST] for model in models]
            if not all(cells[0]) or not all(cells[1]) or row["sample_id"] in questions:
                continue
            try:
                scores.append([float(cell) for cell in cells[0]])
                costs.append([float(cell) for cell in cells[1]])
            except ValueError as error:
                raise TraceError(
                    f"{path}, line {line}: scores and costs must be numbers ({error})"
                ) from error
            name = row["sample_id"]
            questions[name] = PublishedQuestion(name, row["prompt"], row["eval_name"], row["prompt"])
    if not questions:
        raise TraceError(f"{folder} contains no complete line")
    return OutcomeTable(tuple(questions.values()), models, np.array(scores) >= RIGHT, np.array(costs))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(sys.maxsize)  # some responses are longer than the default limit
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = csv.DictReader(text, restval="")
            for row in rows:
                yield rows.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path} cannot be read ({error})") from error
