"""What is known of models outlives the controller that learned it, in a file that a profile names."""

from pathlib import Path

import numpy as np
import pytest

from agent.config.yaml_file import ConfigError
from agent.profile.loading import load_profile
from agent.profile.warm_start import KnowledgeFailed, read_warm_start, write_warm_start
from controller.controller import Controller
from controller.settings import ControllerSettings


def test_what_was_written_is_taken_over(tmp_path: Path) -> None:
    known = Controller(ControllerSettings(), rng=np.random.default_rng(0)).knowledge()
    path = tmp_path / "known.json.gz"
    write_warm_start(path, known)
    first = path.read_bytes()
    write_warm_start(path, known)
    assert path.read_bytes() == first
    other = Controller(ControllerSettings(), rng=np.random.default_rng(1))
    other.begin(read_warm_start(path))
    write_warm_start(path, other.knowledge())
    assert path.read_bytes() == first


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x1f\x8b\x08cut"])
def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "known.json.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KnowledgeFailed, match="warm-start"):
        read_warm_start(path)


def test_a_profile_names_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "known.json.gz").write_bytes(b"")
    (tmp_path / "below").mkdir()
    base, own = tmp_path / "base.yaml", tmp_path / "below" / "own.yaml"
    base.write_text("name: base\nextends: generic-x86\nwarm_start: known.json.gz\n")
    own.write_text("name: own\nextends: ../base.yaml\n")
    assert load_profile(str(own)).warm_start == tmp_path / "known.json.gz"
    own.write_text("name: own\nextends: ../base.yaml\nwarm_start: null\n")
    assert load_profile(str(own)).warm_start is None
    own.write_text("name: own\nextends: ../base.yaml\nwarm_start: gone.json.gz\n")
    with pytest.raises(ConfigError, match="there is no file"):
        load_profile(str(own))
