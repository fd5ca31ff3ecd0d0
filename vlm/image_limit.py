"""How many images a model accepts in one request, as far as a refusal shows.

No field of OpenAI's schema has this number. inarvl's own server reports it (`ModelCard.max_images`) and
refuses with the code "too_many_images"; others say it in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vlm.errors import VlmError, VlmRefused, VlmUnavailable

TOO_MANY_IMAGES = "too_many_images"
REFUSING_STATUS = {400, 413, 422, 500, 501}  # some servers fail on what they should refuse

IMAGE = r"(?:image|picture|photo)(?:s\b|\(s\)|\b)"
ONE = r"(?:one|a\W+single|single)"
LIMIT = (
    r"\b(?:at\W+most|up\W+to|max(?:imum)?|limit(?:ed|s)?|only|accepts?|supports?|allow(?:s|ed)?|more\W+than)\b"
    rf"\W+(?:[a-z]+\W+){{0,5}}?(\d+|{ONE})\b"
)
LIMITED = re.compile(rf"{LIMIT}\W+(?:(?:input|attached|uploaded)\W+)?{IMAGE}", re.IGNORECASE)
TOO_MANY = re.compile(
    rf"\btoo\W+many\W+{IMAGE}|\bnumber\W+of\W+{IMAGE}.{{0,40}}exceed|exceed.{{0,40}}\bnumber\W+of\W+{IMAGE}",
    re.IGNORECASE,
)
SEVERAL_UNSUPPORTED = re.compile(
    rf"\b(?:multiple|several|multi)\W*{IMAGE}.{{0,40}}(?:\bnot\b|n.t\b|\bun)"
    rf"|(?:\b(?:not|cannot)|n.t)\b.{{0,30}}\b(?:multiple|several|multi)\W*{IMAGE}",
    re.IGNORECASE,
)
NUMBER = re.compile(LIMIT, re.IGNORECASE)


def sent_images(request: Mapping[str, Any]) -> int:
    """Returns the number of images in the body of a request."""
    contents = (message["content"] for message in request["messages"])
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return sum(part["type"] == "image_url" for part in parts)


def accepted_images(error: VlmError, sent: int) -> int | None:
    """Returns how many images the server accepts; None if it did not refuse because of their number.

    Where the refusal names no number below `sent`, this is `sent - 1`.
    """
    if sent < 2 or not isinstance(error, VlmRefused | VlmUnavailable) or error.status not in REFUSING_STATUS:
        return None
    message = str(error).partition(": ")[2]  # without the server's URL
    if SEVERAL_UNSUPPORTED.search(message):
        return 1
    limited = LIMITED.search(message)
    if limited is None and not TOO_MANY.search(message) and getattr(error, "reason", None) != TOO_MANY_IMAGES:
        return None
    found = limited or NUMBER.search(message)
    number = found.group(1) if found else str(sent - 1)
    most = int(number) if number.isdigit() else 1
    return most if 1 <= most < sent else sent - 1
