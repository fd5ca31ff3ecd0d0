"""Published data sets in their documented layouts become traces."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lab.cli import app
from lab.errors import TraceError
from lab.outcomes.routerbench import read_routerbench
from lab.outcomes.vl_routerbench import read_vl_routerbench
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import prepare
from lab.trace.trace import read_trace

MODELS = ("large", "medium", "small", "tiny", "huge")
RIGHT = np.array([[1, 1, 0, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]])
COSTS = np.array([10.0, 5.0, 2.0, 1.0, 20.0]) * 1e-5


@pytest.fixture
def routerbench(tmp_path: Path) -> Path:
    columns = [*MODELS, *(f"{m}|model_response" for m in MODELS), *(f"{m}|total_cost" for m in MODELS)]
    lines = [",".join(["sample_id", "prompt", "eval_name", *columns, "oracle_model_to_route_to"])]
    for number, right in enumerate(RIGHT):
        cells = [f"{score:.2f}" for score in right * 0.75] + ["['C)']"] * 5 + [str(c) for c in COSTS]
        lines.append(",".join([f"mmlu.val.{number}", f"['How many {number}?']", "mmlu", *cells, "tiny"]))
    lines.append(",".join(["mmlu.val.9", "['?']", "mmlu", "", *["1"] * 14, "tiny"]))  # a score is missing
    (tmp_path / "routerbench_0shot.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def vl_routerbench(tmp_path: Path) -> Path:
    matrices, registry = tmp_path / "data" / "matrices", tmp_path / "data" / "registry"
    benchmark = tmp_path / "BENCHMARKS" / "vqa_mc"
    for folder in (matrices, registry, benchmark, tmp_path / "images"):
        folder.mkdir(parents=True)
    samples = [f"MMStar/{number}" for number in range(len(RIGHT))]
    np.savez_compressed(matrices / "Y.npz", Y=RIGHT.astype(np.int8))
    np.save(matrices / "C.npy", np.outer([4, 3, 2, 1], COSTS))
    (matrices / "sample_ids.pkl").write_bytes(pickle.dumps(samples[::-1]))
    (registry / "sample_index.pkl").write_bytes(pickle.dumps(samples))
    (registry / "model_index.pkl").write_bytes(pickle.dumps(list(MODELS)))
    Image.new("RGB", (32, 32), "red").save(tmp_path / "images" / "red.png")
    assets = [
        [{"type": "image", "uri": "images/red.png"}],
        [{"type": "image", "uri": "images/red.png"}],
        [{"type": "image_tsv", "tsv_file": "/data/MMStar.tsv", "index": 2}],
        [{"type": "image", "uri": "/etc/hostname"}],
    ]
    (benchmark / "mmstar_samples.jsonl").write_text(
        "".join(
            json.dumps({"sample_id": name, "dataset": "MMStar", "prompt": "How many?", "assets": asset})
            + "\n"
            for name, asset in zip(samples, assets, strict=True)
        )
    )
    return tmp_path


def test_routerbench_has_outcomes_and_costs_of_complete_lines(routerbench: Path) -> None:
    table = read_routerbench(routerbench)
    assert table.models == MODELS
    assert np.array_equal(table.right, RIGHT > 0)
    assert np.allclose(table.costs, COSTS)
    assert [question.type for question in table.questions] == ["mmlu"] * 4


def test_vl_routerbench_has_its_costs_in_the_order_of_its_outcomes(vl_routerbench: Path) -> None:
    table = read_vl_routerbench(vl_routerbench)
    assert np.array_equal(table.right, RIGHT > 0)
    assert np.allclose(table.costs, np.outer([1, 2, 3, 4], COSTS))
    images = [question.image and question.image.name for question in table.questions]
    assert images == ["red.png", "red.png", None, None]  # no file outside the folder is read
    groups = [question.group for question in table.questions]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


@pytest.mark.parametrize("name", ["routerbench", "vl-routerbench"])
def test_an_import_writes_a_trace_of_the_cheapest_and_the_most_accurate_models(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder, out = request.getfixturevalue(name.replace("-", "_")), tmp_path / "out.csv.gz"
    result = CliRunner().invoke(app, ["import", name, str(folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "board: tiny, small; cloud: huge, large" in result.output
    trace = read_trace(out)
    assert list(trace.runs) == ["local/tiny@0", "local/small@0", "cloud/huge@0", "cloud/large@0"]
    dataset = prepare(trace, JETSON_WAN)
    assert dataset.correct.mean(axis=0).tolist() == [0.25, 0.5, 1.0, 0.75]
    assert dataset.compute_ms[0, 0] < dataset.compute_ms[0, 1]  # ranked by cost


def test_models_can_be_named(routerbench: Path, tmp_path: Path) -> None:
    named = ["--local", "medium", "--cloud", "large"]
    out = tmp_path / "out.csv.gz"
    result = CliRunner().invoke(app, ["import", "routerbench", str(routerbench), "--out", str(out), *named])
    assert result.exit_code == 0, result.output
    assert list(read_trace(out).runs) == ["local/medium@0", "cloud/large@0"]
    with pytest.raises(TraceError, match="not unknown"):
        read_routerbench(routerbench).tiers(["unknown"], [])


class Harmful:
    """Runs code when a careless reader loads its pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_cannot_run_code(vl_routerbench: Path, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    index = vl_routerbench / "data" / "registry" / "model_index.pkl"
    index.write_bytes(pickle.dumps([Harmful(touched)]))
    with pytest.raises(TraceError, match="not only a list of names"):
        read_vl_routerbench(vl_routerbench)
    assert not touched.exists()


def test_the_error_says_how_to_convert_a_published_pickle(tmp_path: Path) -> None:
    (tmp_path / "routerbench_0shot.pkl").write_bytes(b"")
    with pytest.raises(TraceError, match="convert with"):
        read_routerbench(tmp_path)


def test_matrices_of_other_sizes_are_refused(vl_routerbench: Path) -> None:
    np.savez_compressed(vl_routerbench / "data" / "matrices" / "Y.npz", Y=RIGHT[:, :3])
    with pytest.raises(TraceError, match="shape"):
        read_vl_routerbench(vl_routerbench)
