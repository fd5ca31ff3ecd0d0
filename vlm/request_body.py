"""Reads the bodies of requests, within a common limit of memory and a time for each."""

from __future__ import annotations

import anyio
from aiohttp import web

from vlm.errors import InvalidRequest, VlmBusy

MAX_BYTES = 32 * 2**20
MAX_BYTES_AT_ONCE = 128 * 2**20
TIME_S = 120.0
MAX_JSON_VALUES, LONG_BODY = 20_000, 65_536  # values, and bytes from which they are counted


class BodyReader:
    """Reads bodies; those that are being received or used at the same time share the limit."""

    def __init__(self, most: int = MAX_BYTES_AT_ONCE, time_s: float = TIME_S) -> None:
        self._free = most
        self._time_s = time_s

    async def read(self, request: web.Request, max_bytes: int = MAX_BYTES) -> bytes:
        """Returns the body of `request`, of at most `max_bytes`.

        Raises:
            HTTPRequestEntityTooLarge: it is too large.
            VlmBusy: the bodies that are being received have used the memory for them.
            InvalidRequest: it does not arrive in time, or has too many JSON values.
        """
        if (request.content_length or 0) > max_bytes:
            raise web.HTTPRequestEntityTooLarge(max_bytes, request.content_length or 0)
        body = bytearray()
        try:
            with anyio.fail_after(self._time_s):
                async for chunk in request.content.iter_any():
                    body += chunk
                    self._free -= len(chunk)
                    if len(body) > max_bytes:
                        raise web.HTTPRequestEntityTooLarge(max_bytes, len(body))
                    if self._free < 0:
                        raise VlmBusy("too many large requests arrive at once; try again later", 1.0)
        except TimeoutError:
            raise InvalidRequest(
                f"the body did not arrive within {self._time_s:.0f} s; send a smaller image",
                "request_timeout",
                408,
            ) from None
        finally:
            self._free += len(body)
        # Every value but the first needs a comma. A million values would cost seconds and 100 MB.
        if len(body) > LONG_BODY and body.count(b",") > MAX_JSON_VALUES:
            raise InvalidRequest(
                f"the body has over {MAX_JSON_VALUES} JSON values; send fewer", "invalid_json"
            )
        return bytes(body)
