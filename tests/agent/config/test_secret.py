"""A secret stands in a file of its own, never in the site file; no error repeats what may be a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.settings import Settings, load_settings
from agent.config.yaml_file import ConfigError

MARKER = "S3CRET-marker"


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return load_settings(path)


def error(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (f"broker: {{password: {MARKER}}}", "password_file"),
        (f"broker: {{passphrase: {MARKER}}}", "password_file"),
        (f"broker: {{token: {MARKER}}}", "password_file"),
        (f"peers: [{{id: a, url: 'http://a', api_key: {MARKER}}}]", "api_key_file"),
        (f"peers: [{{id: a, url: 'http://a', apiKey: {MARKER}}}]", "api_key_file"),
        (f"peers: [{{id: a, url: 'http://a', bearer: {MARKER}}}]", "api_key_file"),
        (f"peers: [{{id: a, url: 'http://a', Authorization: Bearer {MARKER}}}]", "api_key_file"),
        (f"peers: [{{id: a, url: 'http://a', key: {MARKER}}}]", "api_key_file"),
        (f"api_key: {MARKER}", "password_file or api_key_file"),
        (f"secrets: {{gpu: {MARKER}}}", "password_file or api_key_file"),
    ],
)
def test_a_key_for_the_secret_itself_is_refused_and_the_file_is_named(
    tmp_path: Path, text: str, files: str
) -> None:
    message = error(tmp_path, text)
    assert "a secret is never written here" in message
    assert files in message
    assert MARKER not in message


@pytest.mark.parametrize(
    "text",
    [
        f"broker: {{url: 'mqtt://me:{MARKER}@b'}}",
        f"broker: {{url: 'tcp://me:{MARKER}@b'}}",
        f"broker: {{url: 'mqtt://b?password={MARKER}'}}",
        f"broker: {{password_file: {MARKER}}}",
        f"broker: {{password_file: 'credential:{MARKER}/x'}}",
        f"broker: {{key_file: {MARKER}}}",
        f"broker: {{key_file: [{MARKER}]}}",
        f'broker: {{password_file: "/etc/key\\n{MARKER}"}}',
        f"peers: [{{id: a, url: 'http://me:{MARKER}@a'}}]",
        f"peers: [{{id: a, url: 'http://a/v1?key={MARKER}'}}]",
        f"peers: [{{id: a, url: 'http://a/v1#{MARKER}'}}]",
        f"peers: [{{id: a, url: 'ftp://me:{MARKER}@a'}}]",
        f"peers: [{{id: a, url: 'http://a', api_key_file: {MARKER}}}]",
        f"local: 'http://me:{MARKER}@127.0.0.1:1'",
        f"local: '{MARKER}'",
        f"metrics: 'me:{MARKER}@127.0.0.1:1'",
    ],
)
def test_no_error_repeats_a_value_in_whose_place_a_secret_was_written(tmp_path: Path, text: str) -> None:
    assert MARKER not in error(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        f"broker: {{password: {MARKER}: x}}",
        f"broker:\n  password: {MARKER}\n token: 1",
        f"broker: {{password: *{MARKER}}}",
        f"broker: {{password: !{MARKER} x}}",
        f"broker: {{password: !!python/name:{MARKER} x}}",
        f'broker: {{password: "{MARKER}',
        f"broker: {{password: @{MARKER}}}",
        f"broker: {{password: !!int {MARKER}}}",
        f"broker: {{password: !!float {MARKER}}}",
        f"broker: {{password: !!timestamp {MARKER}}}",
        f"broker: {{password: %{MARKER}}}",
        f"broker: {{password: !!binary {MARKER}ü}}",
        f'broker: {{password: "\\z{MARKER}"}}',
        f"broker: {{password: !!bool {MARKER}}}",
        f"broker: {{password: '\x07{MARKER}'}}",
    ],
)
def test_an_error_of_the_yaml_has_its_place_and_not_the_line(tmp_path: Path, text: str) -> None:
    message = error(tmp_path, text)
    assert "invalid YAML: " in message
    assert MARKER not in message


def test_a_credential_is_read_from_the_folder_that_systemd_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(
        tmp_path,
        "broker: {password_file: 'credential:mqtt.password', key_file: 'credential:tls.key'}\n"
        "peers: [{id: a, url: 'https://a', api_key_file: 'credential:a.key'}]",
    )
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match=r"no credentials, which systemd gives .*LoadCredential=a\.key:"):
        settings.api_keys()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigError, match=r"credential:a\.key: the unit has no such credential; add"):
        settings.api_keys()
    for name in ("mqtt.password", "tls.key", "a.key"):
        (tmp_path / name).write_text(f"{MARKER} of {name}\n")
    assert settings.api_keys() == {"a": f"{MARKER} of a.key"}
    options = settings.mqtt_options("me")
    assert options.password == f"{MARKER} of mqtt.password"
    assert options.key_file == tmp_path / "tls.key"
    assert MARKER not in f"{options!r} {settings!r} {options} {settings}"


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nb", b"a\x00b", b"\xff\xfe", b"x" * 100_000])
def test_a_file_that_is_no_secret_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    settings = load(tmp_path, f"peers: [{{id: a, url: 'https://a', api_key_file: {tmp_path}/key}}]")
    with pytest.raises(ConfigError, match=r"the file is empty|a secret is one line of text") as raised:
        settings.api_keys()
    assert len(str(raised.value)) < 200 + len(str(tmp_path))
