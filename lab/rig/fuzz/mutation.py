"""Mutates valid inputs by their structure: JSON by its values, any input by its bytes."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

RAW = "\N{REPLACEMENT CHARACTER}raw"  # marks a place for text that json.dumps cannot write
RAW_JSON = (
    b"[" * 1000,
    b'{"a":' * 1000,
    b"[" * 100_000,
    b"9" * 5000,
    b"-" + b"9" * 400,
    b"1e400",
    b"NaN",
    b"-Infinity",
    b"1e-400",
    b'"\\ud83d"',
    b'"\\udc00\\ud800"',
    b"\xff",
    b"",
)
VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, 2**31, -(2**63), 10**30),
    *("", " ", "a", "\0", "\n", "é", "\ud83d", "x" * 5000, "🙂" * 300, "\x1b[2J[red]", "[/x]", "²", "٣"),
    *(
        "nan",
        "inf",
        "1e999",
        "-1",
        "true",
        "null",
        "0x10",
        "1_0",
        "../../x",
        "a/b",
        "#",
        "+",
        "$SYS",
        "local",
    ),
    *("http://a..b", "HTTP://x", "UNIX:/x", "http://" + "a" * 64, "file:///etc/passwd", "unix:/x", "data:,"),
    *([], {}, [[]], [None], [{}], {"a": {}}, {"": ""}, [1] * 200, ["a"] * 20, ["a", "a"], {"type": "object"}),
)
BYTES = (b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\r\n", b"[", b"{", b"}", b'"', b"\\", b"9" * 50, b"\x7f")


class Mutator:
    """Changes inputs at random places, a few at a time."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def change_json(self, seed: Any) -> bytes:
        """Returns a JSON text like that of `seed`, with one to four changes."""
        value, raw = copy.deepcopy(seed), b""
        for _ in range(self._rng.randint(1, 4)):
            value = self._changed(value)
        text = json.dumps(value).encode()
        marker = json.dumps(RAW).encode()
        while marker in text:
            raw = self._rng.choice(RAW_JSON)
            text = text.replace(marker, raw, 1)
        return self.change_bytes(text) if self._rng.random() < 0.2 else text

    def change_bytes(self, data: bytes) -> bytes:
        """Returns `data` with one to four changes of its bytes."""
        for _ in range(self._rng.randint(1, 4)):
            data = self._with_a_change(data)
        return data

    def change_text(self, text: str) -> str:
        """Returns `text` with changes, or another one."""
        if self._rng.random() < 0.3:
            return str(self._rng.choice([value for value in VALUES if isinstance(value, str)]))
        return self.change_bytes(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _changed(self, value: Any) -> Any:
        if isinstance(value, dict) and value and self._rng.random() < 0.9:
            key = self._rng.choice(list(value))
            kind = self._rng.random()
            if kind < 0.1:
                del value[key]
            elif kind < 0.2:
                value[self.change_text(key)] = value[key]
            elif kind < 0.3:
                value[self._rng.choice(list(value))] = value[key]
            else:
                value[key] = self._changed(value[key])
            return value
        if isinstance(value, list) and value and self._rng.random() < 0.8:
            place = self._rng.randrange(len(value))
            if self._rng.random() < 0.2:
                return (
                    value[:place] + value[place : place + 1] * self._rng.choice((0, 2, 3, 50)) + value[place:]
                )
            value[place] = self._changed(value[place])
            return value
        if isinstance(value, str) and self._rng.random() < 0.4:
            return self.change_text(value)
        return RAW if self._rng.random() < 0.1 else copy.deepcopy(self._rng.choice(VALUES))

    def _with_a_change(self, data: bytes) -> bytes:
        start = self._rng.randint(0, len(data))
        end = min(len(data), start + self._rng.choice((1, 1, 2, 4, 16, 256)))
        kind = self._rng.randrange(6)
        if kind == 0:
            return data[:start] + data[end:]
        if kind == 1:
            return data[:start] + self._rng.choice(BYTES) + data[start:]
        if kind == 2:
            return data[:end] + data[start:end] * self._rng.choice((1, 2, 100)) + data[end:]
        if kind == 3:
            return data[:start]
        if kind == 4:
            return data[:start] + self._rng.randbytes(end - start) + data[end:]
        flipped = bytes([data[start] ^ (1 << self._rng.randrange(8))]) if start < len(data) else b""
        return data[:start] + flipped + data[start + 1 :]
