"""How long the caller waits for an answer.

1. The header `X-Inarvl-Deadline-Ms` counts first, then `timeout` in the body, in seconds.
2. The package `openai` sends the timeout of its caller in the header `X-Stainless-Read-Timeout`. Its default
   of 600 s counts as none: nobody has chosen it.
3. Without any of these, the site file's `intake.default_deadline_ms` applies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from agent.http.errors import HttpError
from vlm.timing import DEADLINE_HEADER

CLIENT_TIMEOUT, CLIENT_DEFAULT_S = "X-Stainless-Read-Timeout", 600.0
MAX_MS = 86_400_000.0


def deadline_ms(headers: Mapping[str, str], timeout: object = None) -> float | None:
    """Returns the milliseconds from now in which an answer is useful; None if the caller states no time.

    Args:
        timeout: the field `timeout` of the body, in seconds.

    Raises:
        HttpError: what the caller states is no time.
    """
    if (stated := headers.get(DEADLINE_HEADER)) is not None:
        return _positive(stated, DEADLINE_HEADER, "milliseconds")
    if timeout is not None:
        return _positive(timeout, "timeout", "seconds") * 1e3
    try:
        read_s = float(headers.get(CLIENT_TIMEOUT, ""))
    except ValueError:  # such as None, if the client has no timeout
        return None
    return read_s * 1e3 if 0 < read_s < MAX_MS / 1e3 and read_s != CLIENT_DEFAULT_S else None


def _positive(value: object, name: str, unit: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 < number <= MAX_MS:
        raise HttpError("bad_field", f"{name} must be a number of {unit} above 0", param=name)
    return number
