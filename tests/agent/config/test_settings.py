"""A site file is read strictly; each error names the key and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agent.config.http_settings import HttpSettings
from agent.config.settings import Settings, load_settings
from agent.config.yaml_file import ConfigError, check

EXAMPLE = Path(__file__).parents[3] / "docs" / "agent.example.yaml"
ACCESS = EXAMPLE.with_name("mqtt-access.md")


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return load_settings(path)


def errors(tmp_path: Path, text: str) -> list[str]:
    """Returns the error lines for a site file, without the file name."""
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert raised.value.code == "bad_config"
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{tmp_path}/agent.yaml: ") for line in lines)
    return [line.split(": ", 1)[1] for line in lines]


def test_an_empty_file_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing\n") == Settings()


def test_the_example_is_a_valid_site_file() -> None:
    settings = load_settings(EXAMPLE)
    assert settings.device == "gate-3"
    assert settings.broker.tls
    assert [peer.id for peer in settings.peers] == ["gpu-1"]
    assert settings.discovery.trust.mode == "proof"
    assert settings.prompt_for("gpu-1") == "Answer in German."
    assert settings.prompt == settings.prompt_for("gpu-2") == settings.prompt_for(None)
    assert settings.prompt is not None
    assert settings.prompt.startswith("The camera looks at the north gate.")


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("broker: {url: tcp://b}", "broker.url", "must be mqtt://host:port or mqtts://host:port"),
        ("broker: {url: 'mqtt://'}", "broker.url", "must be mqtt://host:port or mqtts://host:port"),
        ("broker: {url: 'mqtt://b:99999'}", "broker.url", "port"),
        ("broker: {url: 'mqtt://b:no'}", "broker.url", "port"),
        ("broker: {url: 'mqtt://me:secret@b'}", "broker.url", "use username and password_file"),
        ("broker: {url: 'mqtt://me@b'}", "broker.url", "use username and password_file"),
        ("broker: {protocol: '4'}", "broker.protocol", "'auto', '5' or '3.1.1'"),
        ("broker: {keepalive_s: 1}", "broker.keepalive_s", "greater than or equal to 5"),
        ("device: a/b", "device", "without / # or +"),
        ("device: ''", "device", "1 to 128 printable"),
        ("peers: [{id: a, url: gpu:80}]", "peers.0.url", "must be http://host:port or https://host:port"),
        ("peers: [{id: a, url: 'http://'}]", "peers.0.url", "must be http://host:port or https://host:port"),
        ("peers: [{id: a, url: 'http://u:p@b'}]", "peers.0.url", "api_key_file"),
        ("peers: [{id: a, url: 'http://@b'}]", "peers.0.url", "api_key_file"),
        ("peers: [{id: a, url: 'http://b/v1?key=k'}]", "peers.0.url", "query"),
        ("peers: [{id: a, url: 'http://b/v1#k'}]", "peers.0.url", "fragment"),
        ('peers: [{id: a, url: "http://b/\\nv1"}]', "peers.0.url", "control characters"),
        ("peers: [{url: 'http://b'}]", "peers.0.id", "required"),
        (
            "peers: [{id: a, url: 'https://b'}, {id: a, url: 'https://c'}]",
            "peers",
            "two peers have the id 'a'",
        ),
        ("peers: [{id: a b, url: 'http://b'}]", "peers.0", "letters, digits, dots, dashes"),
        ("peers: [{id: a/b, url: 'http://b'}]", "peers.0", "letters, digits, dots, dashes"),
        ("peers: [{id: a, url: 'HTTP://b'}]", "peers.0.url", "must be http://host:port or https://host:port"),
        ("peers: [{id: a, url: 'http://a..b'}]", "peers.0.url", "name a host"),
        (f"peers: [{{id: a, url: 'http://{'a' * 64}'}}]", "peers.0.url", "name a host"),
        ("peers: [{id: a, url: 'http://b:0'}]", "peers.0.url", "port"),
        ("peers: [{id: a, url: 'http://b', models: [m, m]}]", "peers.0", "different models"),
        ("peers: [{id: a, url: 'http://b', models: ['a model']}]", "peers.0", "no blanks"),
        (f"peers: [{{id: a, url: 'http://b', models: {list('abcdefghijklmnopq')}}}]", "peers.0", "up to 16"),
        ("broker: {url: 'mqtt://a..b'}", "broker.url", "name a host"),
        ("broker: {url: 'mqtt://b:0'}", "broker.url", "port"),
        ("metrics: '127.0.0.1:99999'", "metrics", "host:port"),
        ("metrics: 'a..b:80'", "metrics", "host:port"),
        ("metrics: '127.0.0.1'", "metrics", "host:port"),
        ("metrics: '127.0.0.1:80/x'", "metrics", "host:port"),
        ("metrics: 0.0.0.0:9464", "metrics", "listen and token_file"),
        ("http: 127.0.0.1", "http", "unix:/path of a socket, or host:port"),
        ("http: 0.0.0.0:8030", "http", "token_file"),
        ("http: {}", "http.listen", "required"),
        ("http: {listen: 127.0.0.1}", "http.listen", "unix:/path of a socket, or host:port"),
        ("http: {listen: 'unix:http.sock'}", "http.listen", "unix:/"),
        ("http: {listen: '0.0.0.0:8030'}", "http", "token_file"),
        ("http: {listen: 'gate-3:8030'}", "http", "token_file"),
        ("http: {listen: '127.0.0.1:8030', token_file: a-secret}", "http.token_file", "absolute path"),
        ("http: {listen: '127.0.0.1:8030', allowed_hosts: ['a/b']}", "http.allowed_hosts.0", "neither"),
        ("metrics: '[::]:9464'", "metrics", "listen and token_file"),
        ("metrics: {listen: 'gate-3:9464'}", "metrics", "listen and token_file"),
        ("metrics: {listen: '127.0.0.1'}", "metrics.listen", "host:port"),
        ("metrics: {listen: '127.0.0.1:80', allowed_hosts: ['a/b']}", "metrics.allowed_hosts.0", "neither"),
        ("local: UNIX:/run/x.sock", "local", "unix:/path"),
        (f"local: unix:/{'a' * 107}", "local", "at most 107 bytes"),
        ("local: /run/x.sock", "local", "unix:/path"),
        ("intake: {workers: 0}", "intake.workers", "greater than or equal to 1"),
        ("intake: {workers: many}", "intake.workers", "integer"),
        (f"prompt: {'x' * 4001}", "prompt", "at most 4000 characters"),
        (f"peers: [{{id: a, url: 'http://b', prompt: {'x' * 4001}}}]", "peers.0.prompt", "at most 4000"),
        ("discovery: {zeroconf: 3}", "discovery.zeroconf", "boolean"),
        ("peers: [{id: a, url: 'http://b'}]", "peers.0", "allow_plaintext: true"),
        ("peers: [{id: a, url: 'http://10.0.0.1:80'}]", "peers.0", "write https://"),
        ("peers: [{id: a, url: 'http://localhost.example.net'}]", "peers.0", "write https://"),
        ("peers: [{id: a, url: 'http://[::ffff:127.0.0.1]:80'}]", "peers.0", "write https://"),
        ("peers: [{id: a, url: 'http://localhost:1', ca_file: /ca}]", "peers.0", "does not use TLS"),
        ("peers: [{id: a, url: 'https://b', key_file: /k}]", "peers.0", "cert_file"),
        ("peers: [{id: a, url: 'https://b', fingerprint: AB:CD}]", "peers.0.fingerprint", "64 hexadecimal"),
        ("local: 'http://b:8000'", "local", "local_allow_plaintext: true"),
        ("discovery: {trust: all}", "discovery.trust", "none, any, or a mapping"),
        ("discovery: {trust: true}", "discovery.trust", "none, any, or a mapping"),
        ("discovery: {trust: {}}", "discovery.trust", "none, any, or a mapping"),
        ("discovery: {trust: {mode: any}}", "discovery.trust", "none, any, or a mapping"),
        ("discovery: {trust: {fingerprints: [x]}}", "discovery.trust.fingerprints.0", "64 hexadecimal"),
        ("discovery: {trust: {ca_fle: /x}}", "discovery.trust.ca_fle", "did you mean ca_file"),
        ("discovery: {trust: {key_file: /x}}", "discovery.trust", "cert_file"),
    ],
)
def test_an_error_names_the_key_and_the_remedy(tmp_path: Path, text: str, key: str, remedy: str) -> None:
    (line,) = errors(tmp_path, text)
    assert line.startswith(f"{key}: ")
    assert remedy in line


@pytest.mark.parametrize(
    "fields",
    [
        "url: 'http://b', allow_plaintext: true",
        "url: 'http://127.0.0.1:8000'",
        "url: 'http://[::1]:8000'",
        "url: 'http://localhost:8000'",
        f"url: 'https://b', fingerprint: '{':'.join(['Ab'] * 32)}'",
    ],
)
def test_a_peer_without_tls_is_on_this_machine_or_allowed(tmp_path: Path, fields: str) -> None:
    assert load(tmp_path, f"peers: [{{id: a, {fields}}}]").peers[0].fingerprint in (None, "ab" * 32)


def test_nobody_discovered_is_trusted_by_default() -> None:
    assert Settings().discovery.trust.mode == "none"


@pytest.mark.parametrize("url", ["https://b/v1", "https://b/v1beta/openai/", "https://b:1/api/paas/v4"])
def test_the_url_of_a_peer_may_have_a_path(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f"peers: [{{id: a, url: '{url}'}}]").peers[0].url == url


@pytest.mark.parametrize(
    ("text", "key", "similar"),
    [
        ("brokr: {}", "brokr", "broker"),
        ("broker: {usernam: me}", "broker.usernam", "username"),
        ("intake: {max_wating: 3}", "intake.max_wating", "max_waiting"),
        ("peers: [{id: a, url: 'http://b', modls: []}]", "peers.0.modls", "models"),
    ],
)
def test_a_similar_key_is_suggested_for_a_misspelt_one(
    tmp_path: Path, text: str, key: str, similar: str
) -> None:
    assert errors(tmp_path, text) == [f"{key}: unknown key; did you mean {similar}?"]


def test_an_unknown_key_is_to_be_removed(tmp_path: Path) -> None:
    assert errors(tmp_path, "zzz: 1") == ["zzz: unknown key; remove it"]


def test_all_errors_are_reported_together(tmp_path: Path) -> None:
    lines = errors(tmp_path, "device: a/b\nbroker: {keepalive_s: 1}\nzzz: 1")
    assert {line.split(":")[0] for line in lines} == {"device", "broker.keepalive_s", "zzz"}


def test_an_error_contains_no_secret(tmp_path: Path) -> None:
    (line,) = errors(tmp_path, "broker: {url: 'mqtt://me:hunter2@b'}")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"a: [", "invalid YAML"),
        (b"[" * 10_000, "nested too deeply"),
        (b"\n".join(b" " * level + b"a:" for level in range(100)), "nested too deeply"),
        (b"a: 2026-99-99", "invalid YAML"),
        (b"a: !!int x", "invalid YAML"),
        (b"\xff\xfe\xff", "invalid YAML"),
        (b"[1, 2]", "must be a mapping"),
        (b"false", "must be a mapping"),
        (b"device: a\ndevice: b", "duplicate key device"),
    ],
)
def test_a_file_that_is_not_a_mapping_is_rejected(tmp_path: Path, content: bytes, remedy: str) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=remedy):
        load_settings(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read \(No such file"):
        load_settings(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("mqtt://b", 1883, False),
        ("mqtts://b", 8883, True),
        ("mqtt://b:99", 99, False),
        ("mqtts://[::1]:99", 99, True),
    ],
)
def test_the_url_sets_port_and_encryption(tmp_path: Path, url: str, port: int, tls: bool) -> None:
    options = load(tmp_path, f"broker: {{url: '{url}'}}").mqtt_options("me")
    assert (options.port, options.tls) == (port, tls)


@pytest.mark.parametrize("listen", ["unix:/run/inarvl/http.sock", "127.0.0.1:8030", "[::1]:8030"])
def test_http_may_be_an_address_alone(tmp_path: Path, listen: str) -> None:
    http = load(tmp_path, f"http: '{listen}'").http
    assert http == HttpSettings(listen=listen)
    assert http == load(tmp_path, f"http: {{listen: '{listen}'}}").http


def test_secrets_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    settings = load(
        tmp_path,
        f"broker: {{username: me, password_file: {tmp_path}/secret}}\n"
        f"peers: [{{id: a, url: 'https://a', api_key_file: {tmp_path}/secret}}, {{id: b, url: 'https://b'}}]",
    )
    options = settings.mqtt_options("me")
    assert (options.username, options.password) == ("me", "hunter2")
    assert settings.api_keys() == {"a": "hunter2"}


def test_an_unreadable_secret_is_named(tmp_path: Path) -> None:
    settings = load(tmp_path, f"broker: {{password_file: {tmp_path}/none}}")
    with pytest.raises(
        ConfigError,
        match=r"/none: the secret cannot be read \(No such file or directory\); make the file readable",
    ):
        settings.mqtt_options("me")


def test_the_state_directory_is_the_one_that_systemd_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/elsewhere")
    assert Settings().state_dir == Path("/var/lib/elsewhere")


def test_the_settings_in_the_page_about_access_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", ACCESS.read_text(), re.DOTALL)
    settings = Settings.model_validate(yaml.safe_load("".join(blocks)))
    assert not settings.intake.open_topic
    assert settings.clients["*"].per_minute == 120


@pytest.mark.parametrize(
    "allow", ["a/#", "a/+/b", "$SYS", "/a", "a//b", "", "inarvl", "inarvl/d/mode/set", "inarvl/peers"]
)
def test_replies_cannot_be_allowed_on_reserved_or_invalid_topics(allow: str) -> None:
    with pytest.raises(ConfigError, match=r"replies\.allow"):
        check({"replies": {"allow": [allow]}}, Settings, "agent.yaml")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"prefix": "ha/#"}, "home_assistant.prefix: must be a topic without + and #"),
        ({"prefix": "/ha"}, "home_assistant.prefix: must be a topic"),
        ({"birth_topic": ""}, "home_assistant.birth_topic: must be a topic"),
        ({"birth_topic": "$SYS/x"}, "no leading $"),
        ({"frames": ["yard"]}, "home_assistant.frames: no camera 'yard' with a source"),
        ({"frames": ["door"]}, "home_assistant.frames: no camera 'door' with a source"),
    ],
    ids=str,
)
def test_errors_in_home_assistant_name_the_key(section: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        check({"home_assistant": section, "cameras": {"door": {"local_only": True}}}, Settings, "agent.yaml")


def test_home_assistant_is_disabled_by_default() -> None:
    assert not Settings().home_assistant.enabled
