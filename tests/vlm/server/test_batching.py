"""Requests that wait are answered in one batch, with the same answers as one by one."""

from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import pytest

from vlm import VlmClient, VlmRefused
from vlm.model import Answer, BatchItem, VisionModel

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("server_url", ["batching_server"], indirect=True),
]


@pytest.fixture(scope="module")
def batching_server(running: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server that answers up to three requests in one batch."""
    path = tmp_path_factory.mktemp("batching") / "vlm.sock"
    with running(f"unix:{path}", batch=3, batch_wait_s=0.005, max_tokens=1500):
        yield f"unix:{path}"


@pytest.fixture
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that the model generated, in order."""
    sizes: list[int] = []
    real = VisionModel.generate_batch

    def recorded(model: VisionModel, items: Sequence[BatchItem]) -> list[Answer | Exception]:
        sizes.append(len(items))
        return real(model, items)

    monkeypatch.setattr(VisionModel, "generate_batch", recorded)
    return sizes


async def test_waiting_requests_are_answered_in_one_batch(
    client: VlmClient, jpeg: bytes, paused_model: Any, batch_sizes: list[int], metrics: Any, metric_is: Any
) -> None:
    """A request that is cancelled while it waits is not in the batch."""
    questions = ("?", "how many?", "how many of them are there?", "is it red?")
    texts: dict[str, str] = {}

    async def ask(question: str) -> None:
        answer = await client.complete(question, jpeg, model="llava", max_tokens=4, timeout_s=60)
        texts[question] = answer.text

    async with anyio.create_task_group() as callers:
        callers.start_soon(ask, questions[0])
        await paused_model.started()
        async with anyio.create_task_group() as cancelled:
            cancelled.start_soon(ask, "never mind")
            await metric_is("inarvl_vlm_queue_length", 1)
            for question in questions[1:]:
                callers.start_soon(ask, question)
            await metric_is("inarvl_vlm_queue_length", 4)
            cancelled.cancel_scope.cancel()
        await metric_is("inarvl_vlm_queue_length", 3)
        paused_model.resume()
    assert batch_sizes == [1, 3]
    assert (await metrics())['inarvl_vlm_batch_size_bucket{le="2.0"}'] == 1
    batched = dict(texts)
    for question in questions:
        await ask(question)
    assert texts == batched
    assert sorted(texts) == sorted(questions)


async def test_an_invalid_request_in_a_batch_fails_alone(
    client: VlmClient, jpeg: bytes, paused_model: Any, batch_sizes: list[int], metric_is: Any
) -> None:
    """Its question exceeds the context length, which only the model notices."""
    valid, invalid = ("?", "how many?", "is it red?"), "how many of them " * 1000
    texts: dict[str, str] = {}
    refused: list[VlmRefused] = []

    async def ask(question: str) -> None:
        try:
            answer = await client.complete(question, jpeg, model="llava", max_tokens=4, timeout_s=60)
            texts[question] = answer.text
        except VlmRefused as error:
            assert question == invalid
            refused.append(error)

    async with anyio.create_task_group() as callers:
        callers.start_soon(ask, valid[0])
        await paused_model.started()
        for question in (valid[1], invalid, valid[2]):
            callers.start_soon(ask, question)
        await metric_is("inarvl_vlm_queue_length", 3)
        paused_model.resume()
    assert batch_sizes[:2] == [1, 3], "the three were tried in one batch"
    assert [(error.status, error.code) for error in refused] == [(400, "vlm_refused")]
    batched = dict(texts)
    for question in valid:
        await ask(question)
    assert texts == batched
    assert sorted(texts) == sorted(valid)


async def test_requests_with_different_choices_are_answered_in_one_batch(
    client: VlmClient, jpeg: bytes, paused_model: Any, batch_sizes: list[int], metric_is: Any
) -> None:
    """Requests without choices are in another batch, because choices may need further passes."""
    questions = {"?": ("a", "b"), "is it red?": ("yes", "no"), "how many?": ("1", "10", "2"), "what?": ()}
    answers: dict[str, Any] = {}

    async def ask(question: str) -> None:
        answer = await client.complete(
            question, jpeg, model="llava", max_tokens=9, timeout_s=60, choices=questions[question]
        )
        answers[question] = (answer.text, answer.choice_probabilities)

    async with anyio.create_task_group() as callers:
        callers.start_soon(ask, "?")
        await paused_model.started()
        for question in ("is it red?", "how many?", "what?"):
            callers.start_soon(ask, question)
        await metric_is("inarvl_vlm_queue_length", 3)
        paused_model.resume()
    assert 2 in batch_sizes
    assert 3 not in batch_sizes
    batched = dict(answers)
    for question, choices in questions.items():
        await ask(question)
        (text, probabilities), (batched_text, batched_probabilities) = answers[question], batched[question]
        assert text == batched_text
        if choices:
            assert text in choices
            assert probabilities == pytest.approx(batched_probabilities, abs=1e-3)
        else:
            assert (probabilities, batched_probabilities) == (None, None)
