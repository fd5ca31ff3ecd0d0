"""The settings of the application on Ray Serve, and errors before Ray is started."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.cli import app
from cloud.ray_settings import RayFailed, RaySettings

TOKEN = "a-token-of-the-test"
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


def test_an_application_that_everybody_could_use_is_not_deployed(tmp_path: Path) -> None:
    """Ray's own tools listen where their own settings say, which the application cannot know."""
    with pytest.raises(RayFailed, match=r"token_file=FILE .* insecure=true"):
        RaySettings.read({"model": MODEL}).check_deployment()
    RaySettings.read({"model": MODEL, "insecure": "true"}).check_deployment()
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    settings = RaySettings.read(
        {"model": MODEL, "token_file": tmp_path / "tokens", "allowed_hosts": "gpu-1,a.b"}
    )
    settings.check_deployment()
    check = settings.access(["10.0.0.7"]).request_check("localhost:0")
    for host in ("gpu-1:8020", "a.b", "10.0.0.7"):
        assert check.refusal("/v1/models", [host], [f"Bearer {TOKEN}"], None) is None
    refused = [
        check.refusal("/v1/models", ["evil.example"], [f"Bearer {TOKEN}"], None),
        check.refusal("/v1/models", ["gpu-1"], [], None),
    ]
    assert [refusal.status for refusal in refused if refusal] == [421, 401]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--listen", "0.0.0.0:0"], "anybody there could use this server"),
        (["--tls-cert", "cert.pem"], "belong together"),
        (["--tls", "keys"], "keys/cert.pem cannot be read"),
        (["--client-ca", "ca.pem"], "No such option"),
    ],
)
def test_the_command_refuses_an_open_address(options: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, ["ray", "--model", MODEL, *options])
    assert ran.exit_code != 0
    assert message in ran.output


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_command_names_the_extra() -> None:
    ran = CliRunner().invoke(app, ["ray", "--model", MODEL])
    assert ran.exit_code == 1
    assert "inarvl[vlm,ray]" in ran.output
