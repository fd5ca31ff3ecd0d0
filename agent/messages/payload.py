"""Reads the payload of a query: JSON, or an image with user properties."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from agent.messages.image_formats import is_image
from agent.messages.query import FIELDS, BadQuery

MAX_JSON_VALUES, LONG_PAYLOAD = 10_000, 65_536  # values, and bytes from which they are counted


def read_payload(
    payload: bytes, user: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], bytes | None]:
    """Reads a payload: a JSON object, or an image with user properties.

    User properties with other names than a query's fields are ignored, because bridges add their own.

    Returns:
        The query's fields, a numeric id as its text, and the encoded image if the payload is an image.

    Raises:
        BadQuery: the payload is neither.
    """
    if is_image(payload):
        return {name: value for name, value in (user or {}).items() if name in FIELDS}, payload
    # Every value but the first needs a comma. A million values would cost seconds and 100 MB.
    if len(payload) > LONG_PAYLOAD and payload.count(b",") > MAX_JSON_VALUES:
        raise BadQuery("bad_json", f"the payload has over {MAX_JSON_VALUES} JSON values: send fewer")
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadQuery(
            "bad_json", f"the payload is not a JPEG, a PNG or JSON ({error}): send one of these"
        ) from None
    if not isinstance(fields, dict):
        raise BadQuery("bad_json", "the payload must be a JSON object with question and image")
    if "id" in fields:
        fields["id"] = _text_of_number(fields["id"])
    return fields, None


def _text_of_number(value: object) -> object:
    """Returns a finite number as its text in JSON, and any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return json.dumps(value) if abs(value) < math.inf else value
