"""Who may read the page and act on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.config.http_settings import HttpSettings
from agent.page.files import PageFiles
from page_rig import TOKENS, PageRig, entry, record

pytestmark = pytest.mark.anyio
DATA = [("GET", "/events", None), ("POST", "/mode", {"mode": "local"}), ("POST", "/answers/x/feedback", {})]


@pytest.mark.parametrize(("method", "path", "body"), DATA)
@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (None, 401, "invalid_api_key"),
        ("wrong", 401, "invalid_api_key"),
        (TOKENS["camera"], 403, "operators_only"),
    ],
)
async def test_only_the_token_of_an_operator_opens_the_data(
    tmp_path: Path, method: str, path: str, body: object, token: str | None, status: int, code: str
) -> None:
    rig = PageRig(tmp_path, tokens=True)
    async with (
        rig.serving(),
        rig.client(token) as session,
        session.request(method, path, json=body) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (status, code)
    assert rig.modes == []


async def test_the_site_file_names_the_operators(tmp_path: Path) -> None:
    rig = PageRig(tmp_path, tokens=True, page={"operators": ["camera"]})
    async with rig.serving():
        async with rig.events(TOKENS["camera"]) as reader:
            assert (await reader.next())["device"] == "gate-3"
        async with rig.events(TOKENS["operator"]) as reader:
            assert reader.response.status == 403


async def test_a_token_without_a_name_is_not_an_operators(tmp_path: Path) -> None:
    rig = PageRig(tmp_path, tokens=True)
    async with rig.serving():
        (tmp_path / "tokens").write_text("a-token-without-a-name\n")
        async with rig.events("a-token-without-a-name") as reader:
            assert reader.response.status == 403


async def test_a_token_that_is_withdrawn_ends_its_stream(tmp_path: Path) -> None:
    rig = PageRig(tmp_path, tokens=True)
    async with rig.serving(), rig.events(TOKENS["operator"]) as reader:
        await reader.next()
        (tmp_path / "tokens").write_text("operator:another-token-of-it\n")
        rig.page.event({"event": "drift", "message": "secret"})
        with pytest.raises(EOFError):
            await reader.next()


async def test_the_files_of_the_page_need_no_token_and_have_a_strict_policy(tmp_path: Path) -> None:
    rig = PageRig(tmp_path, tokens=True)
    rig.page.state.add_answer(entry("a-secret-question"), record())
    async with rig.serving(), rig.client() as session:
        assert len(PageFiles.PATHS) > 5
        for path in PageFiles.PATHS:
            async with session.get(path) as response:
                assert response.status == 200
                text = await response.text()
                assert "a-secret-question" not in text
                assert "innerHTML" not in text
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
        for path in ("/page/none.js", "/page/..%2f__init__.py", "/page/"):
            async with session.get(path) as response:
                assert response.status in (401, 404)


async def test_without_the_setting_there_is_no_page(tmp_path: Path) -> None:
    assert HttpSettings.model_validate("127.0.0.1:80").page is None
    assert HttpSettings.model_validate({"listen": "127.0.0.1:80", "page": False}).page is None
    with pytest.raises(ValidationError):
        HttpSettings.model_validate({"listen": "127.0.0.1:80", "page": {"operators": []}})


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
@pytest.mark.parametrize(("method", "path", "body"), DATA)
async def test_a_page_of_another_site_cannot_use_it(
    tmp_path: Path, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    rig = PageRig(tmp_path)
    async with (
        rig.serving(),
        rig.client() as session,
        session.request(method, path, json=body, headers=headers) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (403, "origin_not_allowed")
    assert (rig.modes, rig.page.readers) == ([], 0)
