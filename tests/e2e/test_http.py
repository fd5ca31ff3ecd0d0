"""The real `openai` client, and what Frigate and LLM Vision send, work with another base URL."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from aiohttp import ClientSession, ClientTimeout

from agent.standalone.broker import free_port
from product import KEYS, Product, jpeg, running_product

KEY = KEYS["front-door"]


@pytest.fixture
def url(product: Product) -> str:
    """The base URL for clients."""
    return f"http://{product.site['http']['listen']}/v1"


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key=KEY, timeout=60.0, max_retries=0) as client:
        yield client


def content(seed: int = 0, images: int = 1) -> list[Any]:
    image, question = jpeg(seed)
    url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
    picture = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    return [{"type": "text", "text": question}, *[picture] * images]


def ask(
    client: openai.OpenAI, model: str = "inarvl-auto", parts: list[Any] | None = None, **more: Any
) -> Any:
    messages: Any = [{"role": "user", "content": parts or content()}]
    return client.chat.completions.create(model=model, messages=messages, **more)


def test_the_openai_client_gets_an_answer_and_who_gave_it(client: openai.OpenAI) -> None:
    completion = ask(client)
    assert completion.choices[0].message.content
    about = completion.inarvl
    assert completion.model == f"{about['tier']}/{about['model']}"
    assert {"tier", "model", "reason", "decision_id", "confidence", "latency_ms"} <= about.keys()


def test_every_model_that_is_listed_answers_alone(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"inarvl-auto", "inarvl-local", "inarvl-cloud"} <= set(names)
    assert client.models.retrieve("inarvl-auto").id == "inarvl-auto"
    arms = [name for name in names if "#" in name]
    assert {arm.partition("/")[0] for arm in arms} == {"local", "cloud"}
    for arm in arms:
        assert client.models.retrieve(arm).id == arm
        assert ask(client, arm).model == arm.partition("@")[0]
    for tier in ("local", "cloud"):
        assert ask(client, f"inarvl-{tier}").inarvl["tier"] == tier


def test_a_stream_ends_with_who_answered(client: openai.OpenAI) -> None:
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].inarvl["tier"] in ("local", "cloud")


def test_frigate_is_answered(client: openai.OpenAI) -> None:
    """As in `frigate/genai/plugins/openai.py`: text first, several images, its own timeout."""
    result = ask(client, "gpt-4o", content(images=1), timeout=60)
    assert result is not None
    assert hasattr(result, "choices")
    assert result.choices[0].message.content.strip()
    assert sorted(model.id for model in client.models.list().data)


@pytest.mark.anyio
async def test_llm_vision_is_set_up_and_answered(url: str) -> None:
    """As in `custom_components/llmvision/providers.py`: it first posts only "Hi", then text and images."""
    text, picture = content()
    hi = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    question = {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Describe the image."},
            {"role": "user", "content": [{"type": "text", "text": "Image 1:"}, picture, text]},
        ],
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
    }
    headers = {"Content-type": "application/json", "Authorization": f"Bearer {KEY}"}
    async with ClientSession() as session:
        for data in (hi, question):
            response = await session.post(
                f"{url}/chat/completions", headers=headers, json=data, timeout=ClientTimeout(total=60)
            )
            answer = await response.json()
            assert response.status == 200
            assert answer.get("choices")[0].get("message").get("content")
            assert response.headers["X-Inarvl-Tier"] == answer["inarvl"]["tier"]


def test_the_policy_of_a_camera_holds_for_its_token(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key=KEYS["bedroom"], max_retries=0) as bedroom:
        assert {ask(bedroom, parts=content(seed)).inarvl["tier"] for seed in range(4)} == {"local"}
        with pytest.raises(openai.PermissionDeniedError) as raised:
            ask(bedroom, "inarvl-cloud")
        assert raised.value.code == "local_only"


def test_each_error_of_the_client_has_its_type(client: openai.OpenAI, url: str) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'llava'"):
        ask(client, "llava")
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, n=2)
    assert (raised.value.param, raised.value.code) == ("n", "bad_field")
    with pytest.raises(openai.APIStatusError) as late:
        ask(client, extra_headers={"X-Inarvl-Deadline-Ms": "1"})
    # Refused in the queue, by a worker, or by the decision, wherever the millisecond ends.
    ends = ((429, "busy"), (504, "deadline_expired"), (503, "no_arm"))
    assert (late.value.status_code, late.value.code) in ends
    with (
        openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        ask(stranger)


def test_feedback_is_accepted_once(client: openai.OpenAI) -> None:
    about = ask(client).inarvl
    said: Any = {"decision_id": about["decision_id"], "correct": True}
    accepted: Any = client.post("../feedback", body=said, cast_to=object)
    assert accepted == {"accepted": True}
    with pytest.raises(openai.BadRequestError, match="has its feedback already"):
        client.post("../feedback", body=said, cast_to=object)


def test_a_caller_that_hangs_up_harms_no_other(client: openai.OpenAI, url: str) -> None:
    port = int(url.rpartition(":")[2].partition("/")[0])
    body = json.dumps({"messages": [{"role": "user", "content": content()}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    for _ in range(16):
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert ask(client).choices[0].message.content


def test_at_a_stop_the_questions_that_wait_are_answered(tmp_path: Path) -> None:
    """The model server is a mock, which answers after 20 ms."""
    address = f"127.0.0.1:{free_port()}"
    with running_product(tmp_path, ("mock",), http=address) as product, ThreadPoolExecutor(32) as callers:
        client = openai.OpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0)
        ask(client)
        asking = [callers.submit(ask, client) for _ in range(32)]
        next(as_completed(asking))
        product.services["agent"].stop()
        for asked in asking:
            error = asked.exception()
            refused = isinstance(error, openai.InternalServerError) and error.code == "not_ready"
            late = isinstance(error, openai.APIConnectionError)  # it came after the address was closed
            assert error is None or refused or late, error
        assert sum(asked.exception() is None for asked in asking) > 1


def test_an_address_that_is_taken_is_one_line(product: Product, url: str, tmp_path: Path) -> None:
    site = {
        "device": "e2e-2",
        "broker": {"url": f"mqtt://127.0.0.1:{product.port}"},
        "state_dir": str(tmp_path),
        "discovery": {"zeroconf": False},
        "http": url.removeprefix("http://").removesuffix("/v1"),
    }
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(site))
    command = [Path(sys.executable).with_name("inarvl"), "run", "--config", tmp_path / "agent.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "choose another address or port (http in the site file)" in ran.stderr.splitlines()[-1]
