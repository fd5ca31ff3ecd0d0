"""Extra calls are limited to their share of the ordinary ones."""

from __future__ import annotations

from agent.answering.token_bucket import TokenBucket


def test_extra_calls_are_limited_to_their_share() -> None:
    bucket = TokenBucket(share=0.1, burst=3)
    spent = 0
    for _ in range(1000):
        bucket.fill()
        spent += bucket.spend()
    assert 100 <= spent <= 103
