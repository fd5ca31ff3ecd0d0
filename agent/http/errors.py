"""Errors as HTTP responses in OpenAI's schema, with the codes of replies over MQTT.

A request never ends in a traceback or in a broken connection, and a fault of the agent is logged once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from agent.messages.reply import MAX_MESSAGE, Refusal
from inarvl.door import Door
from inarvl.errors import InarvlError
from vlm.errors import InvalidRequest

MAX_RETRY_S = 60
STATUS: Mapping[str, int] = {
    "too_large": 413,
    "local_only": 403,
    "cloud_calls_spent": 403,
    "spend_cap_reached": 403,
    "origin_not_allowed": 403,
    "operators_only": 403,
    "model_not_found": 404,
    "busy": 429,
    "internal": 500,
    "no_arm": 503,
    "unanswered": 503,
    "not_ready": 503,
    "deadline_expired": 504,
}
"""Of the codes that are not 400."""


class HttpError(InarvlError):
    """A request that gets an error instead of an answer.

    Attributes:
        param: the field of the request that is wrong; None for another cause.
        retry_after_s: when to try again, in seconds from now; None if that does not depend on the time.
    """

    def __init__(
        self, code: str, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s


def bad_field(message: str, param: str) -> HttpError:
    """Returns the error for a field with an invalid value."""
    return HttpError("bad_field", message, param=param)


def refused(refusal: Refusal, retry_after_s: float) -> HttpError:
    """Returns the error of a query that was refused."""
    busy = refusal.code == "busy"
    return HttpError(refusal.code, refusal.message, retry_after_s=retry_after_s if busy else None)


def error_body(message: str, code: str, status: int, param: str | None = None) -> dict[str, Any]:
    """Returns the body of an error in OpenAI's schema."""
    kinds = {429: "rate_limit_error", 401: "authentication_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message[:MAX_MESSAGE], "type": kind, "param": param, "code": code}}


def error_response(error: HttpError) -> web.Response:
    """Returns the response with an error."""
    status = STATUS.get(error.code, 400)
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(min(MAX_RETRY_S, max(1, math.ceil(error.retry_after_s))))
    body = error_body(str(error), error.code, status, error.param)
    return web.json_response(body, status=status, headers=headers)


def errors_as_responses(door: Door) -> Middleware:
    """Returns what answers every error of a handler.

    Args:
        door: counts and logs invalid requests and faults.
    """

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        source = f"{request.method} {request.path}"
        try:
            return await handler(request)
        except ConnectionError:  # the caller is gone
            raise
        except InvalidRequest as error:
            door.drop(source, str(error))
            return web.json_response(error_body(str(error), error.code, error.status), status=error.status)
        except InarvlError as error:
            if STATUS.get(error.code, 400) < 429:
                door.drop(source, str(error))
            return error_response(_http_error(error))
        except web.HTTPException as error:
            door.drop(source, error.reason)
            return _of_status(error)
        except (web.RequestPayloadError, HttpProcessingError) as error:
            reason = " ".join(str(error).split())
            response = error_response(HttpError("bad_json", f"the body cannot be read: {reason}"))
            response.force_close()
            request.content.feed_eof()  # else aiohttp reads the rest of the body and fails again
            return response
        except Exception:
            with door.guard(source):
                raise
        return error_response(HttpError("internal", "the agent failed on this request: see its log"))

    return answer


def _http_error(error: InarvlError) -> HttpError:
    if isinstance(error, HttpError):
        return error
    return HttpError(error.code, str(error), retry_after_s=getattr(error, "retry_after_s", None))


def _of_status(error: web.HTTPException) -> web.Response:
    if error.status == 413:
        message = "the body is too large: send a smaller image, or raise intake.max_payload_bytes"
        return error_response(HttpError("too_large", message))
    hint = (
        "use POST /v1/chat/completions, POST /feedback, or GET /v1/models, /healthz, /readyz, /metrics, "
        "and / with http.page in the site file"
    )
    body = error_body(f"{error.reason}: {hint}", "invalid_request", error.status)
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return web.json_response(body, status=error.status, headers=headers)
