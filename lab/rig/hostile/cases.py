"""What a hostile peer answers: the bytes of its replies, and the reason by which the agent names it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

SILENCE = b"silence"  # no reply at all
DROP = b"drop"  # the connection is closed without a reply


def http(
    body: object, status: int = 200, headers: tuple[str, ...] = (), kind: str = "application/json"
) -> bytes:
    """Returns a reply; a body that is no bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join((*lines, "", "")).encode("latin-1") + content


def listed(*models: object) -> bytes:
    """Returns a model list."""
    return http({"object": "list", "data": list(models)})


def model(**extension: object) -> dict[str, Any]:
    """Returns an entry of a model list with fields of inarvl."""
    return {"id": "m", "inarvl": {"resolutions": [64], **extension}}


def answer(text: object = "peer", logprobs: object = None, **fields: object) -> dict[str, Any]:
    """Returns a chat completion."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "finish_reason": "stop", "logprobs": logprobs}], **fields}


def token(logprob: object, top: object = None) -> dict[str, Any]:
    """Returns log-probabilities of one token."""
    return {"content": [{"token": "peer", "logprob": logprob, "top_logprobs": top or []}]}


def error(status: int, message: object, *headers: str, code: object = None) -> bytes:
    """Returns an error as OpenAI writes it."""
    return http({"error": {"message": message, "code": code}}, status, headers)


READY = http({"status": "ready"})


@dataclass(frozen=True)
class HostilePeer:
    """A peer that is like any other, except for its replies.

    Attributes:
        ready, models, chat: the replies of its endpoints.
        reason: a regular expression for the reason by which the agent names it; None if its answers can be
            used, because only what is invalid in them is ignored.
        keeps_alive: whether it keeps connections open after a reply.
    """

    ready: bytes = READY
    models: bytes = listed(model())
    chat: bytes = http(answer())
    reason: str | None = None
    keeps_alive: bool = True

    def reply(self, path: str) -> bytes:
        """Returns the reply to a request."""
        if path.endswith("chat/completions"):
            return self.chat
        if path.endswith("models"):
            return self.models
        return self.ready if path == "readyz" else READY


DEEP, VERY_DEEP = b"[" * 1000, b'{"a":' * 100_000
LONG = b'{"status": "' + b"x" * 3 * 2**20 + b'"}'
HUGE = 10**400
NUMBER = b'{"status": ' + b"9" * 5000 + b"}"
NO_JSON = "no JSON|no endpoint|no model list|lists no|fault"
CLOSED = "cannot reach|disconnected"
BOMB = gzip.compress(b"[" * 50_000_000)

READINESS = {
    "ready deep": HostilePeer(ready=http(DEEP), models=http(b"?"), reason=NO_JSON),
    "ready very deep": HostilePeer(ready=http(VERY_DEEP), models=http(b"?"), reason=NO_JSON),
    "ready long": HostilePeer(ready=http(LONG), models=http(LONG), reason="longer than"),
    "ready number": HostilePeer(ready=http(NUMBER), models=http(NUMBER), reason=NO_JSON),
    "ready nothing": HostilePeer(ready=DROP, reason=CLOSED),
    "ready garbage": HostilePeer(ready=b"\0\xff" * 100, reason=CLOSED, keeps_alive=False),
    "ready status": HostilePeer(
        ready=b"HTTP/1.1 -1 X\r\n\r\n", models=DROP, reason=CLOSED, keeps_alive=False
    ),
    "ready headers": HostilePeer(ready=b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 100_000, reason=CLOSED),
    "ready header": HostilePeer(ready=b"HTTP/1.1 200 X\r\nA: " + b"b" * 1_000_000, reason=CLOSED),
    "ready half": HostilePeer(
        ready=b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{", reason=CLOSED, keeps_alive=False
    ),
    "ready negative length": HostilePeer(
        ready=b"HTTP/1.1 200 X\r\nContent-Length: -5\r\n\r\n{}", reason=CLOSED, keeps_alive=False
    ),
    "ready chunks": HostilePeer(
        ready=b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}",
        reason=CLOSED,
        keeps_alive=False,
    ),
    "ready bomb": HostilePeer(
        ready=http(BOMB, headers=("Content-Encoding: gzip",)),
        models=http(BOMB, headers=("Content-Encoding: gzip",)),
        reason=f"longer than|{CLOSED}|{NO_JSON}",
    ),
    "ready no gzip": HostilePeer(
        ready=http(b"{}", headers=("Content-Encoding: gzip",)), models=DROP, reason=CLOSED
    ),
    "ready redirect": HostilePeer(
        ready=http(b"", 302, ("Location: http://127.0.0.1:1/",)), models=http(b"", 302), reason="status 302"
    ),
    "ready escapes": HostilePeer(ready=error(503, "\x1b[2J\x1b]0;x\a[red]m[/x]"), reason="red"),
}
MODELS = {
    "models deep": HostilePeer(models=http(b'{"data": ' + DEEP), reason=NO_JSON),
    "models empty": HostilePeer(ready=http(b"", 404), models=listed(), reason="lists no models"),
    "models null": HostilePeer(models=http({"data": None}), reason="no model list"),
    "models texts": HostilePeer(models=listed("m", 1, None, []), reason="without a valid id"),
    "models ids": HostilePeer(
        models=listed({"id": 1}, {"id": []}, {"id": ""}, {"id": "m" * 1_000_000}), reason="without a valid id"
    ),
    "models 400": HostilePeer(models=listed(*({**model(), "id": f"m{n}"} for n in range(400)))),
    "models twice": HostilePeer(models=listed(model(), model())),
    "models resolution twice": HostilePeer(models=listed(model(resolutions=[64, 64]))),
    "models 20000 resolutions": HostilePeer(models=listed(model(resolutions=[*range(1, 20_001)]))),
    "models resolutions": HostilePeer(
        models=listed(model(resolutions=[HUGE, -1, 0, 1.5, "64", None, True, [], 10**9]))
    ),
    "models numbers": HostilePeer(
        models=listed(model(max_tokens=HUGE, parameters=-1, quantization=[], instructions="no"))
    ),
    "models markup": HostilePeer(models=listed({"id": "m[/x]\x1b[2J"}), reason=None),
    "models half a character": HostilePeer(models=listed({"id": "\ud83d"})),
}
ANSWERS = {
    "answer deep": HostilePeer(chat=http(DEEP), reason=NO_JSON),
    "answer very deep": HostilePeer(chat=http(VERY_DEEP), reason=NO_JSON),
    "answer list": HostilePeer(chat=http([]), reason=NO_JSON),
    "answer HTML": HostilePeer(chat=http(b"<html>", kind="text/html"), reason=NO_JSON),
    "answer no choices": HostilePeer(chat=http({"choices": []}), reason="no choice"),
    "answer choices": HostilePeer(chat=http({"choices": {"0": {}}}), reason="no choice"),
    "answer empty": HostilePeer(chat=http(answer("\u200b \0")), reason="empty"),
    "answer long": HostilePeer(chat=http(answer("x" * 1_000_000)), reason="over .* characters"),
    "answer longer": HostilePeer(chat=http(LONG), reason="longer than"),
    "answer half a character": HostilePeer(chat=http(answer("a\ud83db"))),
    "answer nested": HostilePeer(chat=http(answer([[[["a"]]]] * 1000)), reason="empty"),
    "answer error": HostilePeer(chat=http({"error": {"message": "no", "code": HUGE}}), reason="no"),
    "answer UTF-16": HostilePeer(chat=http(json.dumps(answer()).encode("utf-16"))),
    "answer half": HostilePeer(chat=http(answer())[:-20], reason=CLOSED, keeps_alive=False),
    "answer dropped": HostilePeer(chat=DROP, reason=CLOSED),
    "answer silence": HostilePeer(chat=SILENCE, reason="did not answer|too slow"),
    "answer redirect": HostilePeer(
        chat=http(b"", 307, ("Location: http://127.0.0.1:1/",)), reason="status 307"
    ),
    "logprob 1000": HostilePeer(chat=http(answer(logprobs=token(1000)))),
    "logprob huge": HostilePeer(chat=http(answer(logprobs=token(HUGE, [{"logprob": HUGE}] * 2)))),
    "logprob NaN": HostilePeer(
        chat=http(answer(logprobs=token(float("nan"), [{"logprob": float("inf")}] * 3)))
    ),
    "logprob -huge": HostilePeer(chat=http(answer(logprobs=token(-HUGE, [{"logprob": -HUGE}] * 2)))),
    "logprob text": HostilePeer(chat=http(answer(logprobs=token("0", "x")))),
    "logprobs list": HostilePeer(chat=http(answer(logprobs={"content": [[], {}, None] * 1000}))),
    "logprobs legacy": HostilePeer(chat=http(answer(logprobs={"token_logprobs": [HUGE, None, -1, "x"]}))),
    "usage": HostilePeer(chat=http(answer(usage={"completion_tokens": HUGE}, model=["m"]))),
    "timing": HostilePeer(
        chat=http(answer(), headers=("Server-Timing: compute;dur=1e999, queue;dur=nan;dur=-1;dur=\xb2",))
    ),
    "timing long": HostilePeer(chat=http(answer(), headers=("Server-Timing: compute;dur=999999999",))),
}
FAILURES = {
    "busy": HostilePeer(chat=error(429, "slow down", "Retry-After: \xb2"), reason="slow down"),
    "busy for ever": HostilePeer(chat=error(429, "slow down", f"Retry-After: {HUGE}"), reason="slow down"),
    "busy NaN": HostilePeer(chat=error(429, "slow down", "Retry-After: NaN"), reason="slow down"),
    "failure": HostilePeer(chat=error(500, "it failed"), reason="it failed"),
    "failure deep": HostilePeer(chat=http(DEEP, 500), reason=r"\[\[|status 500"),
    "failure long": HostilePeer(chat=error(500, "x" * 1_000_000), reason="xxx"),
    "failure detail": HostilePeer(
        chat=http({"detail": [{"loc": [[], {}, None] * 100, "msg": 5}] * 100}, 500),
        reason="status 500|detail",
    ),
    "no key": HostilePeer(chat=error(401, "invalid key"), reason="invalid key"),
    "no credit": HostilePeer(chat=error(402, "pay first"), reason="pay first"),
    "forbidden": HostilePeer(chat=error(403, "forbidden"), reason="forbidden"),
    "no quota": HostilePeer(
        chat=error(429, "You exceeded your current quota", code="insufficient_quota"), reason="quota"
    ),
}
CASES = {
    name.replace(" ", "-"): peer for name, peer in {**READINESS, **MODELS, **ANSWERS, **FAILURES}.items()
}
