"""The policies of cameras in the site file: what is accepted, and the error that names what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config.settings import Settings, load_settings
from agent.config.yaml_file import ConfigError

TRIANGLE = [[0, 0], [1, 0], [0.5, 1]]


def cameras(tmp_path: Path, policies: dict[Any, Any]) -> Settings:
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"cameras": policies}))
    return load_settings(tmp_path / "agent.yaml")


def test_one_polygon_is_a_list_of_one(tmp_path: Path) -> None:
    found = cameras(tmp_path, {"a": {"mask": TRIANGLE}, "b": {"mask": [TRIANGLE]}, "*": {"local_only": True}})
    assert found.cameras["a"].mask == found.cameras["b"].mask == (((0, 0), (1, 0), (0.5, 1)),)
    assert found.cameras["*"].local_only


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({"mask": [[0, 0], [1, 1]]}, "3 to 64 corners"),
        ({"mask": [[0, 0], [0.5, 0.5], [1, 1]]}, "covers nothing"),
        ({"mask": [[0, 0], [0, 0], [0, 0]]}, "covers nothing"),
        ({"mask": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "edges of the polygon cross"),
        ({"mask": [[0, 0], [640, 0], [640, 480]]}, "less than or equal to 1"),
        ({"mask": [[0, 0], [float("nan"), 0], [1, 1]]}, "mask"),
        ({"mask": [[0, 0], [-0.1, 0], [1, 1]]}, "greater than or equal to 0"),
        ({"mask": [TRIANGLE] * 33}, "at most 32"),
        ({"mask": "all"}, "mask"),
        ({"cloud_calls_per_day": -1}, "cloud_calls_per_day"),
        ({"local": True}, "did you mean local_only"),
    ],
)
def test_a_wrong_policy_is_named(tmp_path: Path, policy: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.gate") as caught:
        cameras(tmp_path, {"gate": policy})
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["a/b", "#", "", 7])
def test_a_name_that_no_client_can_have_is_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(ConfigError, match="cameras"):
        cameras(tmp_path, {name: {"local_only": True}})
