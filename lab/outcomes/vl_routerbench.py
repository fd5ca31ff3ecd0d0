"""Reads VL-RouterBench (arXiv 2512.23562) from the folder that its scripts write.

    data/matrices/Y.npz               array Y, shape (samples, models): 1 for a right answer, else 0
    data/matrices/C.npy               costs in USD; rows as in sample_ids.pkl if it exists, else as in Y
    data/matrices/C.npz               array C, costs in USD, if C.npy does not exist
    data/matrices/sample_ids.pkl      list of the samples of C.npy
    data/registry/sample_index.pkl    list of the samples, as in Y
    data/registry/model_index.pkl     list of the models, as in Y
    BENCHMARKS/*/*_samples.jsonl      sample_id, dataset, prompt, and assets: [{"type": "image", "uri": path}]

Pickles are read only if they contain nothing but lists and texts, so that they cannot run code. Images are
read if their paths exist below the folder; those that are packed into TSV files are not read.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from lab.errors import TraceError
from lab.outcomes.outcome_table import OutcomeTable, PublishedQuestion

MATRICES, REGISTRY = Path("data", "matrices"), Path("data", "registry")
UNKNOWN: Final = "unknown"


def read_vl_routerbench(folder: Path) -> OutcomeTable:
    """Reads a folder. Raises TraceError."""
    right = _array(folder / MATRICES / "Y.npz", "Y")
    samples = _names(folder / REGISTRY / "sample_index.pkl")
    models = _names(folder / REGISTRY / "model_index.pkl")
    costs = _costs(folder, samples)
    for name, array in (("Y", right), ("C", costs)):
        if array.shape != (len(samples), len(models)):
            raise TraceError(
                f"{folder}: {name} has the shape {array.shape}, but there are {len(samples)} samples and "
                f"{len(models)} models; run the scripts of VL-RouterBench again"
            )
    described = _samples(folder)
    questions = tuple(_question(folder, name, described.get(name, {})) for name in samples)
    return OutcomeTable(questions, tuple(models), right > 0, costs.astype(np.float64))


def _costs(folder: Path, samples: list[str]) -> NDArray[Any]:
    path, order = folder / MATRICES / "C.npy", folder / MATRICES / "sample_ids.pkl"
    if not path.exists():
        return _array(folder / MATRICES / "C.npz", "C")
    costs = _array(path)
    if not order.exists():
        return costs
    rows = {name: row for row, name in enumerate(_names(order))}
    missing = [name for name in samples if name not in rows]
    if missing or len(rows) != len(costs):
        raise TraceError(f"{order} does not contain the samples of {path}, such as {(missing or samples)[0]}")
    return np.asarray(costs[[rows[name] for name in samples]])


def _array(path: Path, key: str | None = None) -> NDArray[Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        array: NDArray[Any] = loaded if key is None else loaded[key]
    except (OSError, ValueError, KeyError) as error:
        raise TraceError(f"{path} cannot be read ({error}); give the folder that contains data/") from error
    return array


class _Texts(pickle.Unpickler):
    """Reads lists and texts only: without classes and functions, a pickle cannot run code."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it contains {module_name}.{global_name}, not only a list of names")


def _names(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            names = _Texts(file).load()
    except (OSError, EOFError, ValueError, IndexError, pickle.UnpicklingError) as error:
        raise TraceError(f"{path} cannot be read ({error})") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise TraceError(f"{path} must contain a list of names")
    return names


def _samples(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the descriptions of the samples, by their names."""
    found = {}
    for path in sorted(folder.glob("BENCHMARKS/*/*_samples.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                sample = json.loads(line)
                found[str(sample["sample_id"])] = sample
            except (ValueError, KeyError, TypeError) as error:
                raise TraceError(f"{path}, line {number}: a sample with a sample_id is expected") from error
    return found


def _question(folder: Path, name: str, sample: dict[str, Any]) -> PublishedQuestion:
    assets = [asset for asset in sample.get("assets") or () if isinstance(asset, dict)]
    shown = next((json.dumps(asset, sort_keys=True) for asset in assets), name)
    image = next((_image(folder, str(asset["uri"])) for asset in assets if asset.get("uri")), None)
    return PublishedQuestion(
        id=name,
        group=shown,
        type=str(sample.get("dataset") or name.partition("/")[0] or UNKNOWN),
        text=str(sample.get("prompt") or ""),
        image=image,
    )


def _image(folder: Path, uri: str) -> Path | None:
    """Returns the path of an image below the folder; None if there is none."""
    path = (folder / uri).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
