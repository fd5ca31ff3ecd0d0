"""The Server-Timing header is written, and read with tolerance."""

import pytest
from multidict import CIMultiDict

from vlm.timing import Timing


@pytest.mark.parametrize(
    ("header", "timing"),
    [
        (None, Timing()),
        ("queue;dur=1.5, compute;dur=20", Timing(1.5, 20)),
        ('cache;desc="hit", compute;desc=x;dur="3"', Timing(None, 3)),
        ("queue;dur=soon, compute;dur=-1, ;;", Timing()),
    ],
)
def test_unknown_and_invalid_metrics_are_ignored(header: str | None, timing: Timing) -> None:
    assert Timing.from_header(header) == timing


def test_the_header_round_trips() -> None:
    timing = Timing(1.25, 3.5)
    assert Timing.from_header(timing.to_header()) == timing


def test_a_proxy_may_rename_the_header() -> None:
    headers = CIMultiDict({"llm_provider-server-timing": Timing(1, 2).to_header()})
    assert Timing.of(headers) == Timing(1, 2)
    assert Timing.of(CIMultiDict()) == Timing()
