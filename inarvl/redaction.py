"""Keeps secrets out of everything that this process prints, logs and publishes.

1. Whoever reads a secret calls `hide` with it: `read_secret` does, and every connection with a key.
2. Logs, tracebacks and printed errors pass through `redacted`. So does all that a server sends to whom a key
   was sent, because it may send the key back.
3. A secret is also found in the forms that libraries give it: base64, percent-encoded, and escaped.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

SHOWN = "[secret]"
MIN_LENGTH = 6  # a shorter one, such as "none", is found in ordinary text too

MAX_DEPTH = 64  # of JSON; what stands deeper is not read by anybody

_forms: frozenset[str] = frozenset()
_pattern: re.Pattern[str] | None = None  # replaced and never changed, because threads read it


def hide(secret: str) -> None:
    """Makes `redacted` replace `secret` from now on; one of fewer than MIN_LENGTH characters cannot be."""
    global _forms, _pattern
    if len(secret) >= MIN_LENGTH:
        _forms |= _forms_of(secret)
        longest_first = sorted(_forms, key=lambda form: (-len(form), form))
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def redacted(text: str) -> str:
    """Returns the text with every hidden secret replaced by SHOWN."""
    return text if _pattern is None else _pattern.sub(SHOWN, text)


def redacted_json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Returns a JSON value whose texts, also the keys of objects, are redacted; None for what is too deep."""
    if _pattern is None:
        return value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list | tuple):
        return [redacted_json(item, depth - 1) for item in value] if depth else None
    if isinstance(value, dict):
        entries = value.items() if depth else ()
        return {redacted(str(key)): redacted_json(item, depth - 1) for key, item in entries}
    return value


def _forms_of(secret: str) -> set[str]:
    encoded = secret.encode()
    whole = {base64.b64encode(encoded).decode(), base64.urlsafe_b64encode(encoded).decode()}
    escaped = {json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(encoded)[2:-1]}
    return {secret, *whole, *escaped, quote(secret), quote(secret, safe=""), quote_plus(secret)}
