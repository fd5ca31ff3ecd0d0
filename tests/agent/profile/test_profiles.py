"""Hardware profiles are loaded, extend one another, have errors that say what to do, and fit boards."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from agent.config.yaml_file import ConfigError
from agent.profile import schema as profile_schema
from agent.profile.choice import GENERIC, choose_profile, configured_profile
from agent.profile.identity import BoardIdentity
from agent.profile.loading import bundled, load_profile
from agent.profile.profile import Profile
from vlm.completion import ModelCard

POWER = "power: {idle_w: 5, local_w: 8, wait_w: 0.5, radio_w: 1}"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def error_of(path: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_profile(path)
    return str(raised.value)


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_profile_is_complete_and_names_the_sources_of_its_values(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    sources = " ".join(profile.sources)
    assert all(f"{part}" in sources for part in ("power", "limits", "models"))
    for server, models in (("local", profile.models.local), ("cloud", profile.models.cloud)):
        assert models, f"no {server} model"


def test_a_profile_overrides_values_of_the_profile_that_it_extends(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", f"name: base\n{POWER}\nweights: {{latency_per_s: 2}}\nresolutions: [64]")
    write(tmp_path / "middle.yaml", "name: middle\nextends: base.yaml\npower: {local_w: 9}")
    top = write(tmp_path / "top.yml", "name: top\nextends: middle.yaml\nresolutions: [96]")
    profile = load_profile(top)
    assert (profile.name, profile.power.idle_w, profile.power.local_w) == ("top", 5, 9)
    assert profile.weights.latency_per_s == 2
    assert profile.resolutions == (96,)


def test_a_file_may_extend_a_bundled_profile(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.yaml", f"name: mine\nextends: {GENERIC}\npower: {{idle_w: 11}}")
    assert load_profile(mine).power.local_w == load_profile(GENERIC).power.local_w


def test_profiles_that_extend_each_other_are_rejected(tmp_path: Path) -> None:
    one = write(tmp_path / "one.yaml", "name: one\nextends: two.yaml")
    write(tmp_path / "two.yaml", "name: two\nextends: ./one.yaml")
    assert "extends: the profiles extend each other in a circle" in error_of(one)


def test_the_error_for_an_unknown_profile_lists_the_known_ones() -> None:
    text = error_of("orin-nana")
    assert "there is no profile 'orin-nana'" in text
    assert all(name in text for name in bundled())


def test_the_error_for_an_unknown_base_names_the_file_that_extends_it(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.yaml", "name: mine\nextends: nothing")
    assert error_of(mine).startswith(f"{mine}: extends: there is no profile 'nothing'")


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("power: {idle_w: 5000, local_w: 8, wait_w: 0, radio_w: 0}", "power.idle_w", "in milliwatts?"),
        ("power: {idle_w: 5, local_w: 8, wait_w: 0, radio_w: 300}", "power.radio_w", "in milliwatts?"),
        (f"{POWER}\nlimits: {{temp_c: 90000}}", "limits.temp_c", "write 90"),
        (f"{POWER}\nlimits: {{temp_c: 12}}", "limits.temp_c", "write 20 to 120"),
        (f"{POWER}\nlimits: {{battery_pct: 0.15}}", "limits.battery_pct", "write 15"),
        (f"{POWER}\nlimits: {{battery_pct: 150}}", "limits.battery_pct", "less than or equal to 100"),
        (
            f"{POWER}\nmatch: {{memory_gb: 8}}\nlimits: {{memory_mb: 536870912}}",
            "limits.memory_mb",
            "write MiB",
        ),
        (f"{POWER}\nrates: {{power_s: 0}}", "rates.power_s", "greater than or equal to 0.01"),
        (f"{POWER}\nlink: {{rtt_ms: 0}}", "link.rtt_ms", "greater than 0"),
        ("power: {idle_w: 5, local_w: -8, wait_w: 0, radio_w: 0}", "power.local_w", "greater than or equal"),
        ("power: {idle_w: .nan, local_w: 8, wait_w: 0, radio_w: 0}", "power.idle_w", "finite"),
        ("power: {idle_w: 5, local_w: 8, wait_w: 0}", "power.radio_w", "required"),
        (f"{POWER}\nextends: [a]", "extends", "string"),
        (f"{POWER}\nfloor: 97", "floor", "write 0.97"),
        (f"{POWER}\nrates: {{sense_s: .inf}}", "rates.sense_s", "finite"),
        (f"{POWER}\nresolutions: [448, 0]", "resolutions.1", "between 16 and 8192"),
        (f"{POWER}\nresolutions: []", "resolutions", "at least 1"),
        (f"{POWER}\nmodels: {{local: [{{name: m, quality: 90}}]}}", "models.local.0.quality", "write 0.9"),
        (f"{POWER}\nmodels: {{local: [{{name: m, qualty: 0.9}}]}}", "models.local.0.qualty", "mean quality?"),
        (f"{POWER}\nlimits: {{temp: 90}}", "limits.temp", "did you mean temp_c?"),
    ],
)
def test_an_error_names_its_place_and_the_remedy(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    path = write(tmp_path / "p.yaml", f"name: p\n{text}")
    (line,) = error_of(path).splitlines()
    assert line.startswith(f"{path}: {place}: ")
    assert remedy in line


def test_the_site_file_names_a_profile_or_leaves_the_choice_to_the_board() -> None:
    assert configured_profile("thor") == load_profile("thor")
    assert configured_profile("auto") == choose_profile()


def test_a_profile_of_the_site_is_chosen_before_bundled_ones(tmp_path: Path) -> None:
    write(
        tmp_path / "gate.yaml", "name: gate\nextends: thor\nmatch: {model: AGX Thor, cores: 14, memory_gb: 8}"
    )
    write(tmp_path / "notes.txt", "not a profile")
    board = BoardIdentity("NVIDIA Jetson AGX Thor Developer Kit", 14, 131.0)
    assert choose_profile(board, tmp_path).name == "gate"
    assert choose_profile(replace(board, cores=12), tmp_path).name == "thor"


def test_an_invalid_profile_of_the_site_is_not_skipped(tmp_path: Path) -> None:
    write(tmp_path / "gate.yaml", "name: gate\nextends: thor\nflor: 0.9")
    with pytest.raises(ConfigError, match="did you mean floor"):
        choose_profile(BoardIdentity("x", 1, 1.0), tmp_path)


def test_a_profile_without_conditions_fits_no_board(tmp_path: Path) -> None:
    write(tmp_path / "any.yaml", "name: any\nextends: thor\nmatch: {model: null, memory_gb: 0}")
    assert choose_profile(BoardIdentity("x", 64, 500.0), tmp_path).name == GENERIC
    write(tmp_path / "any.yaml", "name: any\nextends: thor\nmatch: {}")
    assert choose_profile(BoardIdentity("x", 64, 500.0), tmp_path).name == GENERIC


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = resources.files("profiles") / profile_schema.FILE
    current = json.loads(profile_schema.schema_text())  # as text it depends on pydantic: 0 or 0.0
    assert json.loads(shipped.read_text()) == current, "write it again with: inarvl profile schema"


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_profile_conforms_to_the_schema_that_it_names(name: str) -> None:
    text = (resources.files("profiles") / f"{name}.yaml").read_text()
    assert f"$schema={profile_schema.FILE}" in text.splitlines()[0]
    jsonschema.validate(yaml.safe_load(text), profile_schema.schema())


@pytest.mark.parametrize(
    "text",
    [
        "name: p\nextends: thor\nflor: 1",
        "name: p",
        "extends: thor",
        "name: p\nextends: t\npower: {idle_w: x}",
    ],
)
def test_the_schema_rejects_what_the_code_rejects(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), profile_schema.schema())


def example() -> Profile:
    return Profile.model_validate(
        {
            "name": "example",
            "power": {"idle_w": 5, "local_w": 8, "wait_w": 0.5, "radio_w": 1.5, "radio_j_per_mb": 2},
            "limits": {"temp_c": None},
            "resolutions": [448, 896],
            "floor": 0.9,
            "audit": {"budget": 0.1},
            "models": {
                "local": [{"name": "small", "resolutions": [64, 96], "latency_ms": 40, "quality": 0.7}],
                "cloud": [{"name": "big", "quality": 0.9}],
            },
        }
    )


def test_the_controller_settings_have_the_values_of_the_profile() -> None:
    settings = example().controller_settings()
    assert settings.power.local_w == 8
    assert settings.power.radio_j_per_mb == 2
    assert settings.limits.temp_c is None
    assert (settings.floor, settings.audit_budget) == (0.9, 0.1)
    assert set(settings.priors) == {
        "local/small@64",
        "local/small@96",
        "cloud/big@448",
        "cloud/big@896",
    }
    assert settings.priors["local/small@96"].latency_ms == 40
    assert settings.priors["cloud/big@448"].quality == 0.9
    assert settings.priors["cloud/big@448"].latency_ms == settings.cloud_prior.latency_ms


def test_the_resolutions_of_a_model_come_from_the_profile_then_its_server_then_the_default() -> None:
    profile = example()
    assert profile.resolutions_of("local", ModelCard("small", resolutions=(512,))) == (64, 96)
    assert profile.resolutions_of("cloud", ModelCard("big", resolutions=(512,))) == (512,)
    assert profile.resolutions_of("cloud", ModelCard("small")) == (448, 896)
