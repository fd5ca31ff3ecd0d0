"""Models, health, metrics and feedback; and what the OpenAPI document says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.standalone.broker import free_port
from http_rig import HttpRig, chat

pytestmark = pytest.mark.anyio


async def test_each_arm_is_a_model(rig: HttpRig) -> None:
    async with rig.client() as session:
        async with session.get("/v1/models") as response:
            names = [model["id"] for model in (await response.json())["data"]]
        assert names == [
            "inarvl-auto",
            "inarvl-local",
            "inarvl-cloud",
            "local/small",
            "cloud/big",
            "local/small@64#board",
            "cloud/big@128#gpu-1",
        ]
        async with session.get("/v1/models/cloud%2Fbig%40128%23gpu-1") as response:
            assert (await response.json())["id"] == "cloud/big@128#gpu-1"
        async with session.get("/v1/models/cloud/bigger") as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "model_not_found"


async def test_health_says_whether_the_agent_lives_and_whether_it_can_answer(rig: HttpRig) -> None:
    async with rig.client() as session:
        for problem, status in (("the broker is not connected yet", 503), (None, 200)):
            rig.problem = problem
            async with session.get("/healthz") as response:
                assert response.status == 200
            async with session.get("/readyz") as response:
                assert response.status == status
                if problem:
                    assert (await response.json())["error"]["message"] == problem
        async with session.get("/metrics") as response:
            assert await response.text() == "inarvl_questions_total 1.0\n"


async def test_feedback_counts_once_and_only_from_its_asker(tmp_path: Path) -> None:
    tokens = {"a": "token-of-client-a-1", "b": "token-of-client-b-1"}
    (tmp_path / "tokens").write_text("".join(f"{name}:{token}\n" for name, token in tokens.items()))
    async with HttpRig(tmp_path, http={"token_file": str(tmp_path / "tokens")}).serving() as rig:
        _, body, _ = await rig.post(chat(), token=tokens["a"])
        said = {"decision_id": body["inarvl"]["decision_id"], "correct": True}
        status, error, _ = await rig.post(said, "/feedback", token=tokens["b"])
        assert (status, error["error"]["code"]) == (400, "bad_feedback")
        assert (await rig.post(said, "/feedback", token=tokens["a"]))[:2] == (200, {"accepted": True})
        status, error, _ = await rig.post(said, "/feedback", token=tokens["a"])
        assert (status, error["error"]["message"]) == (
            400,
            "this answer has its feedback already: send it once",
        )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"correct": true}', b'{"id": "7", "correct": 1}', b'{"id": "7", "correct": true}']
)
async def test_invalid_feedback_is_refused(rig: HttpRig, body: bytes) -> None:
    status, error, _ = await rig.post(body, "/feedback")
    assert (status, error["error"]["code"]) == (400, "bad_feedback")


async def test_large_feedback_is_refused(rig: HttpRig) -> None:
    assert (await rig.post(b"x" * 5000, "/feedback"))[0] == 413


async def test_another_name_of_the_host_is_refused_because_of_dns_rebinding(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    async with HttpRig(
        tmp_path, http={"listen": listen, "allowed_hosts": ["gate.example.net"]}
    ).serving() as rig:
        for host, status in (("evil.example", 421), ("gate.example.net:8030", 200), ("localhost", 200)):
            found, body, _ = await rig.post(chat(), Host=host)
            assert found == status
            if status == 421:
                assert "http.allowed_hosts" in body["error"]["message"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("https://evil.example", 403), ("null", 403), ("http://[", 403)],
)
async def test_a_page_of_another_site_cannot_ask_from_a_browser(
    rig: HttpRig, origin: str, status: int
) -> None:
    assert (await rig.post(chat(), Origin=origin))[0] == status
    assert len(rig.asked) == (status == 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("GET", "/v1/completions", 404),
        ("GET", "/../etc/passwd", 404),
        ("POST", "/healthz", 405),
    ],
)
async def test_other_paths_and_methods_get_an_error_in_json(
    rig: HttpRig, method: str, path: str, status: int
) -> None:
    async with rig.client() as session, session.request(method, path) as response:
        assert response.status == status
        assert (await response.json())["error"]["type"] == "invalid_request_error"
        assert "Access-Control-Allow-Origin" not in response.headers
