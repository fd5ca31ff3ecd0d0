"""docs/openapi.yaml names every route, and describes real requests and responses."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from agent.config.page_settings import PageSettings
from agent.daemon.http import HttpService
from agent.http.errors import STATUS
from agent.page.page import Page
from http_rig import HttpRig, answer_to, chat, refusal
from inarvl import __version__

pytestmark = pytest.mark.anyio
DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "docs" / "openapi.yaml").read_text())
CHAT = "/v1/chat/completions"


def conforms(value: Any, schema: str) -> None:
    root = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(root).validate(value)


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_the_document_is_of_this_version_and_refers_only_to_itself() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["version"] == __version__
    for reference in references(DOCUMENT):
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


async def test_the_document_has_the_routes_of_the_application(rig: HttpRig) -> None:
    described = {
        (method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations
    }
    parts: Any = {"mqtt": None, "servers": None, "arms": SimpleNamespace(available=tuple), "set_mode": None}
    settings = rig.http.model_copy(update={"page": PageSettings()})
    page = Page(settings.page, "d")
    service = HttpService(
        settings, intake=rig.intake, feedback=rig.feedback, metrics=bytes, door=rig.door, page=page, **parts
    )
    served = {(route.method, route.path.replace("{id:.+}", "{id}")) for route in service.routes()}
    assert served == described


async def test_requests_and_responses_are_as_the_document_says(rig: HttpRig) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    cost = {"cost": 0.25, "currency": "EUR", "cost_source": "counted"}
    rig.answer = lambda request: answer_to(request, '{"a": 1}', value={"a": 1}, warning="w", **cost)
    for request in (
        chat(),
        chat("a bare text", max_tokens=4, inarvl={"pin": "local", "choices": ["a", "b"]}),
        chat(response_format=schema, timeout=20),
    ):
        conforms(request, "ChatRequest")
        status, body, headers = await rig.post(request)
        assert status == 200
        conforms(body, "ChatCompletion")
        described = DOCUMENT["paths"][CHAT]["post"]["responses"]["200"]["headers"]
        assert {name for name in headers if name.startswith("X-Inarvl")} == described.keys()
        feedback = {"decision_id": body["inarvl"]["decision_id"], "correct": True}
        conforms(feedback, "Feedback")
        conforms((await rig.post(feedback, "/feedback"))[1], "FeedbackReply")
    async with rig.client() as session:
        async with session.post(CHAT, json=chat(stream=True)) as response:
            *events, done = [event for event in (await response.text()).split("\n\n") if event]
            assert done == "data: [DONE]"
            for event in events:
                conforms(json.loads(event.removeprefix("data: ")), "ChatCompletionChunk")
        for path, kind in (
            ("/v1/models", "ModelList"),
            ("/v1/models/inarvl-auto", "Model"),
            ("/healthz", "Status"),
            ("/readyz", "Status"),
        ):
            async with session.get(path) as response:
                conforms(await response.json(), kind)


@pytest.mark.parametrize("code", ["bad_image", *STATUS])
async def test_every_error_is_as_the_document_says(rig: HttpRig, code: str) -> None:
    rig.answer = refusal(code)
    status, body, _ = await rig.post(chat())
    conforms(body, "Error")
    assert str(status) in DOCUMENT["paths"][CHAT]["post"]["responses"]
