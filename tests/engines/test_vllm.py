"""vLLM on a CPU as a peer, with a bundled model whose heads are widened for its kernels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from agent.messages.reply import Refusal
from agent.standalone.broker import free_port
from engine_process import EngineProcess, python_of
from lab.training.wide_heads import widen_heads
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

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.timeout(900)]
MODEL, SIDE = "inarvl-cloud-mid", 128
BOARD = {"inarvl-edge-swift": 96, "inarvl-edge-reader": 128}
COLOURS = ("red", "green", "blue", "yellow")
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
OPTIONS = (
    "--dtype float32 --enforce-eager --max-model-len 512 --max-num-seqs 4 --host 127.0.0.1 "
    f"--served-model-name {MODEL} --structured-outputs-config.backend xgrammar "
    "--structured-outputs-config.disable_any_whitespace true"
).split()


@dataclass
class Site:
    """The agent with the bundled models on the board, and vLLM as its peer."""

    product: Product
    vllm: EngineProcess


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    python = python_of("vllm")
    folder, port = tmp_path_factory.mktemp("vllm"), free_port()
    widen_heads(bundled.path(MODEL), folder / MODEL, 64)
    server = [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    vllm = EngineProcess(
        [*server, "--model", str(folder / MODEL), "--port", str(port), *OPTIONS],
        f"http://127.0.0.1:{port}",
        folder / "vllm.log",
        start_s=600,
        environment=ENVIRONMENT,
    )
    vllm.start()
    try:
        anyio.run(vllm.until_ready)
        local, sides = f"unix:{folder}/vlm.sock", {**BOARD, MODEL: SIDE}
        with running_site(folder, local, vllm.url, sides, servers=("vlm",)) as product:
            anyio.run(until_answered, product, "cloud")
            yield Site(product, vllm)
    finally:
        vllm.stop()


async def test_a_bundled_model_answers_as_through_transformers(site: Site) -> None:
    assert await share_equal(site.vllm.url, MODEL, SIDE) >= 0.99


async def test_questions_are_answered_with_a_confidence(site: Site) -> None:
    correct = 0
    for seed in range(20):
        image, question = scene(seed, SIDE)
        answer = await answer_to(site.product, image, question.text, pin="cloud")
        assert (answer.tier, answer.model) == ("cloud", MODEL)
        assert answer.confidence is not None
        correct += answer.answer == question.answer
    assert correct >= 15, "it answers nine of ten such questions correctly"


@pytest.mark.parametrize(
    ("fields", "question", "values"),
    [
        ({"answer": "yes_no"}, "what colour is it?", (True, False, None)),
        ({"answer": "choice", "choices": "|".join(COLOURS)}, "is there a ring?", (*COLOURS, None)),
    ],
)
async def test_choices_constrain_the_answer(
    site: Site, fields: dict[str, str], question: str, values: tuple[Any, ...]
) -> None:
    image, _ = scene(0, SIDE)
    answer = await answer_to(site.product, image, question, pin="cloud", **fields)
    assert answer.value in values, answer
    assert answer.confidence is not None


async def test_a_number_and_json_have_their_schema(site: Site) -> None:
    image, _ = scene(0, SIDE)
    answer = await answer_to(site.product, image, "what colour is it?", pin="cloud", answer="number")
    assert answer.answer == "unknown" or isinstance(answer.value, int | float), answer
    schema = {
        "type": "object",
        "properties": {"seen": {"type": "boolean"}},
        "required": ["seen"],
        "additionalProperties": False,
    }
    fields = {"answer": "json", "schema": json.dumps(schema), "max_tokens": "200", "pin": "cloud"}
    answer = await answer_to(site.product, image, "is there a ring?", **fields)
    assert answer.value is None or isinstance(answer.value["seen"], bool)


async def test_requests_of_other_clients_are_read_from_its_metrics(site: Site) -> None:
    await until_other_requests(site.product, "cloud", lambda number: number == 0)
    async with endless_requests(site.vllm.url, MODEL, number=3):
        await until_other_requests(site.product, "cloud", lambda number: number >= 3)
    await until_other_requests(site.product, "cloud", lambda number: number == 0)


async def test_the_board_answers_until_a_killed_vllm_is_back(site: Site) -> None:
    image, question = scene(0, SIDE)
    site.vllm.kill()
    for _ in range(3):
        assert (await answer_to(site.product, image, question.text)).tier == "local"
    refusal = await reply_to(site.product, image, question.text, pin="cloud")
    assert isinstance(refusal, Refusal), refusal
    assert refusal.code in ("no_arm", "unanswered"), refusal
    site.vllm.start()
    await site.vllm.until_ready()
    await until_answered(site.product, "cloud")
