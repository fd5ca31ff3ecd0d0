"""Replies that refuse the caller, the request, or any request for now are three kinds of error."""

from __future__ import annotations

import json

import pytest

from vlm.errors import VlmBusy, VlmDenied, VlmError, VlmRefused
from vlm.replies import read_error

URL = "http://host"
QUOTA = "You exceeded your current quota, please check your plan and billing details"


def read(status: int, message: str, code: str | None = None, retry_after: str | None = None) -> VlmError:
    body = {"error": {"message": message, "code": code}}
    return read_error(URL, status, retry_after, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (401, "Incorrect API key provided", "invalid_api_key"),
        (402, "Insufficient credits. Add more at https://host/credits", None),
        (402, "", None),
        (403, "Forbidden", None),
        (403, "Country, region, or territory not supported", "unsupported_country_region_territory"),
        (429, QUOTA, "insufficient_quota"),
        (429, "Your credit balance is too low", None),
        (429, "monthly spend limit reached", None),
    ],
)
def test_the_caller_is_refused(status: int, message: str, code: str | None) -> None:
    error = read(status, message, code)
    assert isinstance(error, VlmDenied)
    assert (error.code, error.status, error.reason, error.model_only) == ("denied", status, code, False)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "team not allowed to access model gpt-5"),
        (403, "Project does not have access to model gpt-5"),
    ],
)
def test_only_one_model_is_refused(status: int, message: str) -> None:
    error = read(status, message)
    assert isinstance(error, VlmDenied)
    assert error.model_only


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, "Your input was flagged by moderation", VlmRefused),
        (403, "You are not allowed to request logprobs from this model", VlmRefused),
        (400, "the image is too large", VlmRefused),
        (429, "Rate limit reached: try again in 2 s", VlmBusy),
        (429, "the queue is full", VlmBusy),
    ],
)
def test_only_this_request_is_refused(status: int, message: str, kind: type[VlmError]) -> None:
    assert type(read(status, message)) is kind


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5.0), ("\u00b2", None), ("nan", None), ("-1", None), ("1e400", None), ("9" * 300, 3600.0)],
)
def test_the_time_of_retry_after_is_bounded(header: str, seconds: float | None) -> None:
    for error in (read(429, "busy", retry_after=header), read(402, "pay", retry_after=header)):
        assert isinstance(error, VlmBusy | VlmDenied)
        assert error.retry_after_s == seconds
