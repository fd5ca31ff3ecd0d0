"""llama.cpp's server with bundled models: as the board's model behind a unix socket, and as a peer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.messages.reply import Refusal
from agent.standalone.broker import free_port
from engine_process import ROOT, EngineProcess, python_of
from original_answers import share_equal
from product import Product
from site_with_engines import (
    answer_to,
    endless_requests,
    reply_to,
    running_site,
    scene,
    until_answered,
    until_other_requests,
)
from vlm import bundled
from vlm.gguf.export import export
from vlm.gguf.precision import Precision

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
MODELS = {"local": "inarvl-edge-swift", "cloud": "inarvl-cloud-mid"}
SIDES = {
    "inarvl-edge-swift": 96,
    "inarvl-edge-reader": 128,
    "inarvl-cloud-mid": 128,
    "inarvl-cloud-strong": 128,
}
TIERS = ("local", "cloud")
OTHER = {"local": "cloud", "cloud": "local"}
COLOURS = ("red", "green", "blue", "yellow")


def llamacpp(folder: Path, model: str, precision: Precision, address: tuple[str, int]) -> EngineProcess:
    """Converts a bundled model, and returns the server for it, which is not started yet."""
    python = python_of("llamacpp")
    decoder, tower = export(bundled.path(model), model, folder, precision)
    host, port = address
    command = [str(python), str(ROOT / "scripts/engines/llama_server.py")]
    command += ["--model", str(decoder), "--mmproj", str(tower), "--alias", model]
    command += ["--host", host, "--port", str(port), "--threads", "1"]
    url = f"unix:{host}" if host.endswith(".sock") else f"http://{host}:{port}"
    return EngineProcess(command, url, folder / f"{model}.log", start_s=60)


@dataclass
class Site:
    """The agent between two engines."""

    product: Product
    engines: dict[str, EngineProcess]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("llamacpp")
    addresses = {"local": (f"{folder}/board.sock", 0), "cloud": ("127.0.0.1", free_port())}
    engines = {
        tier: llamacpp(folder, model, Precision.q8_0, addresses[tier]) for tier, model in MODELS.items()
    }
    try:
        for engine in engines.values():
            engine.start()
            anyio.run(engine.until_ready)
        with running_site(folder, engines["local"].url, engines["cloud"].url, SIDES) as product:
            for tier in TIERS:
                anyio.run(until_answered, product, tier)
            yield Site(product, engines)
    finally:
        for engine in engines.values():
            engine.stop()


@pytest.mark.parametrize("model", ["inarvl-edge-swift", "inarvl-cloud-strong"])
@pytest.mark.parametrize(("precision", "least"), [("f16", 0.99), ("q8_0", 0.95), ("q4_0", 0.9)])
async def test_a_converted_model_answers_as_the_original(
    tmp_path: Path, model: str, precision: str, least: float
) -> None:
    engine = llamacpp(tmp_path, model, Precision(precision), ("127.0.0.1", free_port()))
    engine.start()
    try:
        await engine.until_ready()
        assert await share_equal(engine.url, model, SIDES[model]) >= least
    finally:
        engine.stop()


@pytest.mark.parametrize("tier", TIERS)
async def test_questions_are_answered_with_a_confidence(site: Site, tier: str) -> None:
    correct = 0
    for seed in range(20):
        image, question = scene(seed, SIDES[MODELS[tier]])
        answer = await answer_to(site.product, image, question.text, pin=tier)
        assert (answer.tier, answer.model) == (tier, MODELS[tier])
        assert answer.confidence is not None
        assert 0 <= answer.confidence <= 1
        correct += answer.answer == question.answer
    assert correct >= 15, "both models answer nine of ten such questions correctly"


@pytest.mark.parametrize("tier", TIERS)
async def test_a_form_constrains_the_answer(site: Site, tier: str) -> None:
    image, _ = scene(0, SIDES[MODELS[tier]])
    forms: list[tuple[dict[str, str], str, Any]] = [
        ({"answer": "yes_no"}, "what colour is it?", (True, False, None)),
        ({"answer": "choice", "choices": "|".join(COLOURS)}, "is there a ring?", (*COLOURS, None)),
    ]
    for fields, question, values in forms:
        answer = await answer_to(site.product, image, question, pin=tier, **fields)
        assert answer.value in values, answer
        assert answer.confidence is not None
    answer = await answer_to(site.product, image, "what colour is it?", pin=tier, answer="number")
    assert answer.answer == "unknown" or isinstance(answer.value, int | float), answer


@pytest.mark.parametrize("tier", TIERS)
async def test_json_has_the_schema_of_the_question(site: Site, tier: str) -> None:
    schema = {
        "type": "object",
        "properties": {"seen": {"type": "boolean"}},
        "required": ["seen"],
        "additionalProperties": False,
    }
    image, _ = scene(0, SIDES[MODELS[tier]])
    fields = {"answer": "json", "schema": json.dumps(schema), "max_tokens": "200", "pin": tier}
    answer = await answer_to(site.product, image, "is there a ring?", **fields)
    assert answer.value is None or isinstance(answer.value["seen"], bool)


@pytest.mark.parametrize("tier", TIERS)
async def test_the_other_tier_answers_until_a_killed_engine_is_back(site: Site, tier: str) -> None:
    image, question = scene(0, 96)
    site.engines[tier].kill()
    for _ in range(3):
        assert (await answer_to(site.product, image, question.text)).tier == OTHER[tier]
    refusal = await reply_to(site.product, image, question.text, pin=tier)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.code in ("no_arm", "unanswered"), refusal
    site.engines[tier].start()
    await site.engines[tier].until_ready()
    await until_answered(site.product, tier)


@pytest.mark.parametrize("tier", TIERS)
async def test_requests_of_other_clients_are_read_from_its_metrics(site: Site, tier: str) -> None:
    await until_other_requests(site.product, tier, lambda number: number == 0)
    async with endless_requests(site.engines[tier].url, MODELS[tier], number=3):
        await until_other_requests(site.product, tier, lambda number: number >= 3)
    await until_other_requests(site.product, tier, lambda number: number == 0)
