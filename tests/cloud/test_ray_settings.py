"""The settings of the application on Ray Serve, and errors before Ray is started."""

from __future__ import annotations

import importlib.util

import pytest
from typer.testing import CliRunner

from cloud.cli import app
from cloud.ray_settings import RayFailed, RaySettings

MODEL = "bundled:inarvl-cloud-mid"


def test_the_settings_may_be_texts_as_serve_run_passes_them() -> None:
    settings = RaySettings.read(
        {"model": f"{MODEL},bundled:inarvl-cloud-strong", "replicas": "1", "cpus": "0.5"}
    )
    options = settings.serve_options()
    assert [checkpoint.name for checkpoint in options.models] == ["inarvl-cloud-mid", "inarvl-cloud-strong"]
    assert (settings.replicas, settings.most_replicas, settings.cpus) == (1, 1, 0.5)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"replica": 3}, "replica"),
        ({"replicas": 0}, "replicas"),
        ({"max_replicas": 1}, "max_replicas"),
        ({"quantization": "int3"}, "quantization"),
        ({"model": []}, "model"),
    ],
)
def test_the_error_for_an_invalid_setting_names_it(changed: dict[str, object], named: str) -> None:
    with pytest.raises(RayFailed, match=named):
        RaySettings.read({"model": [MODEL], **changed})


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_command_names_the_extra() -> None:
    ran = CliRunner().invoke(app, ["ray", "--model", MODEL])
    assert ran.exit_code == 1
    assert "inarvl[vlm,ray]" in ran.output
