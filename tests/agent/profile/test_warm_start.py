"""A controller's knowledge of the models is written to a file, which a profile names as its warm start."""

from pathlib import Path

import numpy as np
import pytest

from agent.config.yaml_file import ConfigError
from agent.profile.loading import load_profile
from agent.profile.warm_start import WarmStartFailed, read_warm_start, write_warm_start
from controller.controller import Controller
from controller.settings import ControllerSettings


def test_a_controller_that_begins_with_a_warm_start_has_the_same_knowledge(tmp_path: Path) -> None:
    knowledge = Controller(ControllerSettings(), rng=np.random.default_rng(0)).knowledge()
    path = tmp_path / "known.json.gz"
    write_warm_start(path, knowledge)
    first = path.read_bytes()
    write_warm_start(path, knowledge)
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
    with pytest.raises(WarmStartFailed, match="warm-start"):
        read_warm_start(path)


def test_the_path_of_the_warm_start_is_relative_to_the_profile_that_names_it(tmp_path: Path) -> None:
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
