"""A peer record round-trips through JSON and TXT; malformed input raises BadPeerRecord only."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import BadPeerRecord, PeerRecord
from cloud.announce import AnnounceFailed, on_broker, on_lan
from cloud.peer import MAX_MODELS, MAX_TXT_BYTES
from inarvl.price import Price, Prices

MODELS = st.lists(st.from_regex(r"[A-Za-z0-9/_.:-]{1,128}", fullmatch=True), max_size=MAX_MODELS, unique=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
RECORD_LIKE = st.fixed_dictionaries(
    {"id": st.just("rack") | JSON, "url": st.just("http://10.0.0.1:8020") | JSON},
    optional={"models": JSON, "api": JSON, "version": JSON, "prices": JSON},
)


def record(**changes: object) -> PeerRecord:
    fields: dict[str, object] = {"id": "rack-1", "url": "http://10.0.0.1:8020", "models": ("a", "b/c:7")}
    return PeerRecord(**{**fields, **changes})  # type: ignore[arg-type]


@given(models=MODELS, tls=st.booleans(), version=st.text(max_size=40))
def test_json_round_trips(models: list[str], tls: bool, version: str) -> None:
    original = record(models=tuple(models), url=f"http{'s' * tls}://10.0.0.1:8020", version=version)
    assert PeerRecord.from_bytes(original.to_bytes()) == original


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.0.0.1", "http://10.0.0.1:8020"),
        ("10.0.0.1", "https://10.0.0.1:8020"),
        ("fd00::1", "http://[fd00::1]:8020"),
    ],
)
def test_txt_round_trips(host: str, url: str) -> None:
    original = record(url=url, version="1.2")
    assert PeerRecord.from_txt(original.to_txt(), host, 8020) == original


@given(models=MODELS)
def test_txt_contains_the_first_models_that_fit(models: list[str]) -> None:
    original = record(models=tuple(models))
    txt = original.to_txt()
    assert all(len(f"{key}={value}".encode()) <= MAX_TXT_BYTES for key, value in txt.items())
    kept = PeerRecord.from_txt(txt, "10.0.0.1", 8020).models
    assert kept == original.models[: len(kept)]
    if len(kept) < len(models):
        assert len(f"models={','.join(models[: len(kept) + 1])}") > MAX_TXT_BYTES


def test_prices_round_trip_in_both_forms() -> None:
    original = record(prices=Prices("EUR", (("a", Price(0.4, 1.2)), ("*", Price(per_call=0.01)))))
    assert PeerRecord.from_bytes(original.to_bytes()) == original
    assert PeerRecord.from_txt(original.to_txt(), "10.0.0.1", 8020) == original


def test_prices_that_do_not_fit_in_txt_are_left_out() -> None:
    models = tuple((f"{'m' * 100}{number}", Price(1.0, 2.0)) for number in range(4))
    txt = record(prices=Prices("EUR", models)).to_txt()
    assert len(f"prices={txt['prices']}") <= MAX_TXT_BYTES
    assert PeerRecord.from_txt(txt, "10.0.0.1", 8020).prices == Prices("EUR", models[:2])


@pytest.mark.parametrize("prices", [7, {}, {"currency": "EUR", "models": {"a": {"per_call": -1}}}])
def test_a_record_with_invalid_prices_is_refused(prices: object) -> None:
    body = {**json.loads(record().to_bytes()), "prices": prices}
    with pytest.raises(BadPeerRecord, match="price"):
        PeerRecord.from_bytes(json.dumps(body).encode())
    with pytest.raises(BadPeerRecord, match="price"):
        PeerRecord.from_txt({**record().to_txt(), "prices": "EUR a 1 2 -3"}, "10.0.0.1", 8020)


@given(payload=st.binary(max_size=200))
def test_random_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(BadPeerRecord):
        PeerRecord.from_bytes(payload)


@given(body=JSON | RECORD_LIKE)
def test_any_json_is_read_or_refused(body: object) -> None:
    with suppress(BadPeerRecord):
        PeerRecord.from_bytes(json.dumps(body).encode()).to_bytes()


@given(
    txt=st.dictionaries(
        st.sampled_from(["txtvers", "role", "id", "api", "models", "tls", "prices"]), st.text()
    )
)
def test_any_txt_is_read_or_refused(txt: dict[str, str]) -> None:
    with suppress(BadPeerRecord):
        PeerRecord.from_txt({"txtvers": "1", "role": "cloud", **txt}, "10.0.0.1", 8020)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 4096,
        json.dumps({"id": "rack", "url": "http://10.0.0.1:1", "models": ["m" * 128] * 100}).encode(),
        b'{"id": "rack", "url": "unix:/run/inarvl/vlm.sock"}',
        b'{"id": "rack", "url": "file:///etc/passwd"}',
        b'{"id": "rack", "url": "http://"}',
        b'{"id": "rack", "url": "http://["}',
        b'{"id": "rack", "url": "http://host:99999"}',
        b'{"id": "rack", "url": "http://me:secret@10.0.0.1"}',
        b'{"id": "rack", "url": "http://@10.0.0.1/v1"}',
        b'{"id": "rack", "url": "http://10.0.0.1/v1?key=secret"}',
        b'{"id": "rack", "url": "http://10.0.0.1/v1?"}',
        b'{"id": "rack", "url": "http://10.0.0.1/v1#part"}',
        b'{"id": "rack", "url": "http://10.0.0.1/v1\\n"}',
        b'{"id": "rack", "url": "http://10.0.0.1/v1 /x"}',
        b'{"id": "rack", "url": "http://10.0.0.1"}',
        b'{"id": "rack", "url": "http://10.0.0.1:8020/"}',
        b'{"id": "rack", "url": "http://10.0.0.1:8020/v1beta/openai/"}',
        b'{"id": "rack", "url": "http://169.254.169.254:80"}',
        b'{"id": "../rack", "url": "http://10.0.0.1:1"}',
        b'{"id": "rack", "url": "http://10.0.0.1:1", "api": "other/v9"}',
        b'{"id": "rack", "url": "http://10.0.0.1:1", "models": "abc"}',
    ],
)
def test_an_invalid_record_is_refused(payload: bytes) -> None:
    with pytest.raises(BadPeerRecord):
        PeerRecord.from_bytes(payload)


@pytest.mark.parametrize(
    ("url", "announced"),
    [
        ("http://10.0.0.1:8020/v1/", "http://10.0.0.1:8020"),
        ("https://GPU.example.net/v1", "https://gpu.example.net:443"),
        ("http://[fd00:0::1]", "http://[fd00::1]:80"),
    ],
)
def test_a_url_is_announced_in_one_form(url: str, announced: str) -> None:
    prepared = record(url=url).announced()
    assert prepared.url == announced
    assert PeerRecord.from_bytes(prepared.to_bytes()) == prepared


@pytest.mark.parametrize("url", ["https://host:1/v1beta/openai/", "http://host:1/api/v4"])
def test_a_url_with_another_path_is_for_the_site_file_only(url: str) -> None:
    assert record(url=url).url == url
    with pytest.raises(BadPeerRecord, match="must not have a path: name this server in the site file"):
        record(url=url).announced()
    with pytest.raises(BadPeerRecord, match="must not have a path: name this server in the site file"):
        PeerRecord.from_bytes(record(url=url).to_bytes())


def test_txt_carries_the_host_name() -> None:
    txt = record(url="https://gpu.example.net:8020").to_txt()
    assert txt["host"] == "gpu.example.net"
    assert PeerRecord.from_txt(txt, "10.0.0.1", 8020).url == "https://10.0.0.1:8020"
    assert "host" not in record().to_txt()


@pytest.mark.parametrize("path", ["v1", "@evil.test/", "/?key=1", "/#", "/ /", "/api", "/v1/"])
def test_a_path_in_txt_is_refused(path: str) -> None:
    with pytest.raises(BadPeerRecord, match="name this server in the site file"):
        PeerRecord.from_txt({**record().to_txt(), "path": path}, "10.0.0.1", 8020)


def test_the_default_path_in_txt_is_accepted() -> None:
    assert PeerRecord.from_txt({**record().to_txt(), "path": "/v1"}, "10.0.0.1", 8020).models == (
        "a",
        "b/c:7",
    )


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://10.0.0.1:1/api", "http://169.254.1.1:80"])
async def test_nothing_is_announced_that_devices_refuse(url: str) -> None:
    with pytest.raises(AnnounceFailed, match="name this server in the site file"):
        async with on_lan(record(url=url)):
            raise AssertionError
    with pytest.raises(AnnounceFailed, match="name this server in the site file"):
        async with on_broker(record(url=url), "mqtt://127.0.0.1:1"):
            raise AssertionError


@pytest.mark.parametrize("url", ["http://[", "http://", "http://host:port", "ftp://host"])
def test_the_error_for_an_invalid_url_shows_the_valid_form(url: str) -> None:
    with pytest.raises(BadPeerRecord, match="http://host:port"):
        record(url=url)


def test_a_service_of_another_version_role_or_api_is_refused() -> None:
    for key, value in {"txtvers": "2", "role": "edge", "api": "other/v9"}.items():
        with pytest.raises(BadPeerRecord):
            PeerRecord.from_txt({**record().to_txt(), key: value}, "10.0.0.1", 8020)


def test_unknown_keys_are_ignored() -> None:
    body = json.loads(record().to_bytes()) | {"colour": "red"}
    assert PeerRecord.from_bytes(json.dumps(body).encode()) == record()
