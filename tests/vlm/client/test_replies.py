"""Replies of remote servers: any JSON is read within bounds, or raises a VlmError."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm import Completion, Confidence, VlmBusy, VlmError, VlmRefused, VlmUnavailable
from vlm.completion import MAX_RESOLUTIONS
from vlm.replies import MAX_MODELS, first_models, read_completion, read_confidence, read_error, read_models
from vlm.timing import Timing

URL = "http://host"
# fmt: off
KEYS = (
    "error", "message", "code", "content", "text", "type", "finish_reason", "refusal", "tool_calls",
    "function", "name", "logprobs", "top_logprobs", "logprob", "token", "token_logprobs", "usage",
    "completion_tokens", "model", "id", "inarvl", "resolutions", "max_tokens", "detail", "loc", "msg",
    "param", "metadata", "raw", "choice_probabilities", "reasoning", "provider_specific_fields",
)
# fmt: on
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["\ud83d", "text", "yes", "<think>", "</think>", " "]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.sampled_from(["choices", "error", "model", "usage", "data"]), JSON)


def completion(reply: dict[str, Any]) -> Completion:
    return read_completion(URL, reply, requested_model="m", latency_ms=1, timing=Timing(), request_bytes=1)


def answer(content: object = "red", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, **choice}]}


@given(reply=OBJECT | JSON.map(lambda choice: {"choices": [choice]}) | JSON.map(answer))
def test_any_reply_is_an_answer_or_a_vlm_error(reply: Any) -> None:
    text = "an error"
    try:
        read = completion(reply)
        text = read.text + read.model
        assert read.text.strip()
    except VlmError as error:
        text = str(error)
    assert len(text.encode()) < 2000


@given(logprobs=JSON)
def test_any_logprobs_give_a_confidence(logprobs: Any) -> None:
    read_confidence(logprobs)
    confidence = read_confidence({"content": logprobs, "token_logprobs": logprobs})
    assert confidence.mean_logprob is None or confidence.mean_logprob <= 0


@given(body=JSON, status=st.sampled_from([400, 429, 500, 504]), retry_after=st.text() | st.none())
def test_any_error_body_gives_a_bounded_error(body: Any, status: int, retry_after: str | None) -> None:
    error = read_error(URL, status, retry_after, json.dumps(body).encode())
    assert 0 < len(str(error)) < 1000
    str(error).encode()


@given(reply=OBJECT | JSON | st.lists(JSON).map(lambda entries: {"data": entries}))
def test_any_model_list_is_read_or_refused(reply: Any) -> None:
    try:
        cards = read_models(URL, reply)
    except VlmError:
        return
    assert all(card.id.strip() for card in cards)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"error":' * 50_000, b"1" * 5000, b"\xff\xfe", b""])
def test_an_error_body_that_is_not_json_is_quoted(body: bytes) -> None:
    error = read_error(URL, 503, None, body)
    assert type(error) is VlmUnavailable
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("²", None),
        ("-1", None),
        ("nan", None),
        ("1" * 400, None),
        ("99999", 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_a_bounded_number_of_seconds(retry_after: str, seconds: float | None) -> None:
    error = read_error(URL, 429, retry_after, b"")
    assert isinstance(error, VlmBusy)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("logprob", [1000, 10**400, -(10**400), float("nan"), float("inf"), "x", True, None])
def test_an_impossible_logprob_is_ignored(logprob: object) -> None:
    token = {"token": "a", "logprob": logprob, "top_logprobs": [{"logprob": logprob}, {"logprob": -1}]}
    valid = {"token": "b", "logprob": -0.5, "top_logprobs": [{"logprob": -0.5}, {"logprob": logprob}]}
    assert read_confidence({"content": [token]}) == Confidence()
    assert read_confidence({"content": [token, valid]}) == Confidence(None, -0.5, 1)


def test_rounding_above_0_and_masked_tokens_are_clamped() -> None:
    tokens = [{"token": "a", "logprob": 1e-7}, {"token": "b", "logprob": -1e300}]
    assert read_confidence({"content": tokens}) == Confidence(None, -9999 / 2, 2)


def test_logprobs_in_the_schema_of_text_completions_give_a_mean() -> None:
    assert read_confidence({"tokens": ["a", "b"], "token_logprobs": [None, -0.5]}) == Confidence(
        None, -0.5, 1
    )


def test_of_many_models_the_first_valid_and_different_ones_are_used(caplog: pytest.LogCaptureFixture) -> None:
    entries: list[Any] = [{"id": f"m{number % 200}"} for number in range(400)]
    cards = first_models(URL, read_models(URL, {"data": [{"id": ""}, {"id": "x" * 999}, None, *entries]}))
    assert [card.id for card in cards] == [f"m{number}" for number in range(MAX_MODELS)]
    assert "203 entries" in caplog.text
    assert "the first 16 of 200 models" in caplog.text


def test_of_many_resolutions_the_first_valid_and_different_ones_are_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    resolutions = [64, 64, 10**400, float("nan"), True, "9", *range(1, 20_000)]
    (card,) = read_models(URL, [{"id": "m", "inarvl": {"resolutions": resolutions}}])
    assert card.resolutions == (64, *range(1, MAX_RESOLUTIONS))
    assert "the first 16 of 19999 resolutions" in caplog.text


def test_a_model_list_without_a_valid_id_is_refused() -> None:
    with pytest.raises(VlmError, match="without a valid id"):
        read_models(URL, {"data": [{"name": "m"}]})


def test_a_text_that_is_not_unicode_is_repaired() -> None:
    read = completion(answer("red \ud83d", inarvl={"choice_probabilities": {"red": 1.0}}))
    assert (read.text, read.choice_probabilities) == ("red \ufffd", {"red": 1.0})


def test_litellm_moves_the_choice_probabilities() -> None:
    moved = answer(provider_specific_fields={"inarvl": {"choice_probabilities": {"red": 1.0}}})
    assert completion(moved).choice_probabilities == {"red": 1.0}


def test_a_gateway_whose_servers_have_all_failed_is_not_busy() -> None:
    text = "No deployments available for selected model, Try again in 5 seconds."
    error = read_error("http://gateway", 429, None, json.dumps({"error": {"message": text}}).encode())
    assert isinstance(error, VlmUnavailable)


@pytest.mark.parametrize("values", [{}, {"a": 2}, {"a": "x"}, {str(n): 0.1 for n in range(65)}, 3])
def test_malformed_choice_probabilities_are_none(values: object) -> None:
    assert completion(answer(inarvl={"choice_probabilities": values})).choice_probabilities is None


@pytest.mark.parametrize("tokens", [-1, 10**400, float("nan"), "3", True])
def test_an_impossible_token_count_is_none(tokens: object) -> None:
    assert completion({**answer(), "usage": {"completion_tokens": tokens}}).completion_tokens is None


def test_an_error_in_a_reply_with_status_200_has_its_own_status() -> None:
    for code, kind in ((429, VlmBusy), (502, VlmUnavailable), (402, VlmRefused), ("x", VlmRefused)):
        with pytest.raises(kind, match="no luck"):
            completion({"error": {"message": "no luck", "code": code}})
        with pytest.raises(kind, match="no luck"):
            completion(answer("re", error={"message": "no luck", "code": code}))


def test_the_margin_is_of_the_first_token_that_is_not_blank() -> None:
    def token(text: str, *logprobs: float) -> dict[str, Any]:
        return {
            "token": text,
            "logprob": logprobs[0],
            "top_logprobs": [{"token": "?", "logprob": logprob} for logprob in logprobs],
        }

    logprobs = {"content": [token(" ", -0.1, -3), token("yes", -0.5, -1.5), token("!", -0.3, -2)]}
    confidence = read_confidence(logprobs)
    assert confidence.first_token_margin == pytest.approx(0.6065 - 0.2231, abs=1e-4)
    assert confidence.mean_logprob == pytest.approx(-0.3)
    assert confidence.tokens == 3


@pytest.mark.parametrize(
    "logprobs", [None, [], {"content": None}, {"content": [{}]}, {"content": [{"logprob": float("nan")}]}]
)
def test_malformed_logprobs_give_an_empty_confidence(logprobs: object) -> None:
    assert read_confidence(logprobs) == Confidence()


def test_a_margin_needs_two_alternatives() -> None:
    one = {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"logprob": -1}]}]}
    assert read_confidence(one) == Confidence(None, -1, 1)


def test_an_answer_that_is_not_the_likeliest_has_no_margin() -> None:
    best = [{"token": "2", "logprob": -0.2}, {"token": "3", "logprob": -1.6}]
    constrained = {"content": [{"token": "blue", "logprob": -13.0, "top_logprobs": best}]}
    assert read_confidence(constrained) == Confidence(None, -13.0, 1)
