"""Distinguishes messages with the same id by what they ask."""

from __future__ import annotations

import hashlib
from dataclasses import fields

from agent.messages.query import Query

# What may differ between two sendings of the same question.
OF_THE_SENDING = {"id", "deadline_ms", "asked_at", "priority", "client", "response_topic", "correlation"}
MAX_INVALID_BYTES = 65_536


def content_digest(query: Query) -> str:
    """Returns a digest of the question, its images and the form of its answer."""
    digest = hashlib.blake2b(digest_size=16)
    for field in fields(query):
        if field.name in OF_THE_SENDING:
            continue
        value = getattr(query, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            digest.update(part if isinstance(part, bytes) else repr(part).encode(errors="replace"))
            digest.update(b"\0")
    return digest.hexdigest()


def invalid_digest(payload: bytes) -> str:
    """Returns a digest of the length and the beginning of an invalid message."""
    return hashlib.blake2b(b"%d\0" % len(payload) + payload[:MAX_INVALID_BYTES], digest_size=16).hexdigest()
