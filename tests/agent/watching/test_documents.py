"""The site files in docs/cameras.md are valid, and what it prints is what is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config.settings import Settings, load_settings
from agent.config.yaml_file import ConfigError, check

PAGE = (Path(__file__).parents[3] / "docs" / "cameras.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)]


def test_the_page_has_examples_of_every_source_and_every_key() -> None:
    cameras = [camera for example in EXAMPLES for camera in Settings.model_validate(example).cameras.values()]
    assert {camera.source.kind for camera in cameras if camera.source} == {"mqtt", "http", "rtsp", "file"}
    written = {key for example in EXAMPLES for key in _keys(example)}
    assert {"on_change", "every_s", "trigger", "per_minute", "between", "before", "retain"} <= written


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: ", ".join(example["cameras"]))
def test_each_example_is_a_valid_site_file(example: dict[str, Any]) -> None:
    check(example, Settings, "example")


def test_the_error_is_printed_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = next(example for example in EXAMPLES if "camera_hosts" in example)
    content = {**example, "camera_hosts": ["192.168.1.20"]}
    Path("agent.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as raised:
        load_settings(Path("agent.yaml"))
    assert f"    {raised.value}\n" in PAGE


def _keys(content: Any) -> set[str]:
    if not isinstance(content, dict):
        return set()
    return content.keys() | {key for value in content.values() for key in _keys(value)}
