"""The reply address in a JSON query that is too large to be read."""

from __future__ import annotations

import json
import re

ENDS_BYTES = 16_384  # of the beginning and of the end; the image is in between
FIELD = re.compile(
    rb'[{,]\s*"(id|client|response_topic|correlation)"\s*:\s*("(?:[^"\\]|\\.){1,200}"|\d{1,20})'
)


def address_fields(payload: bytes) -> dict[str, str]:
    """Returns the fields of the reply address that are found at the beginning or at the end of `payload`.

    >>> address_fields(b'{"id": 7, "client": "cam", "image": "' + bytes(100_000))
    {'id': '7', 'client': 'cam'}
    """
    fields: dict[str, str] = {}
    for part in (payload[:ENDS_BYTES], payload[-ENDS_BYTES:]):
        for name, value in FIELD.findall(part):
            try:
                fields[name.decode()] = str(json.loads(value))
            except ValueError:  # such as an invalid escape sequence
                continue
    return fields
