"""How OpenAI-compatible servers differ, and how the client adapts to each of them.

`VlmClient` does the HTTP; this module builds its requests and learns from refusals, `vlm.replies` reads the
replies, `vlm.base_url` finds the endpoints. To support another difference, add it to one of these modules and
to this list, with a case in tests/vlm/client/test_dialect.py.

1. A server may refuse a request because of one of its fields: `max_tokens` (it wants `max_completion_tokens`,
   or no limit at all), `temperature`, `logprobs`, `top_logprobs`, `structured_outputs`, `response_format`, or
   a message with the role "system". The client repeats the request without that field, with the other name,
   or with the system message in front of the question. If the server accepts that, the client asks for the
   same model in this way from then on. A refusal that names no field, but says that something is unknown or
   unsupported, removes `response_format`, and as long as the server has never accepted a request, also the
   other fields, one after another.
2. A server may ignore `logprobs`. After MAX_WITHOUT_LOGPROBS answers without them it is not asked for them.
3. A base URL may have any path, or none; the model list may be missing: see `vlm.base_url`.
4. A server may lack the endpoints /healthz, /readyz and /probe, and may answer an unknown path with status
   400, 401, 403, 404, 405, 410, 501, a redirect, a page of HTML, or status 200 with an error in the body. The
   client uses the model list instead.
5. A reply may lack `model`, `usage` or `logprobs`; its text may be a list of parts, or missing; it may
   contain the model's thoughts. A reply without an answer raises VlmRefused with the reason: see
   `vlm.replies`.
6. An error body may be {"error": {"message", "code", "param"}}, {"error": "text"}, {"detail": ...}, a list,
   any other JSON, or any text, also with status 200.
7. A full queue is status 429, or the error code "busy" with any status. LiteLLM's proxy also sends status 429
   while all servers behind it have failed; then the message says that no deployment is available.
8. A server may refuse the caller: status 401, 402, 403, or 429 with a message about quota or credit. With
   status 403 and a message about moderation it refuses the question.
9. A model may accept fewer images in one request than were sent: see `vlm.image_limit`.
10. llama.cpp's server ignores `structured_outputs`, and may indent the JSON of a `response_format` until no
   tokens are left. A model that its list calls `owned_by: "llamacpp"` is sent a `grammar` instead.
11. A model list may be {"data": [...]} or a list, contain only ids, duplicates and hundreds of models.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vlm.completion import ModelCard
from vlm.errors import VlmError, VlmRefused, VlmUnavailable
from vlm.image_limit import accepted_images, sent_images

UNKNOWN_PATH = {400, 401, 403, 404, 405, 410, 501}
MAX_WITHOUT_LOGPROBS = 3
MAX_MODELS = 64  # of one server, whose dialects are remembered

UNSUPPORTED = re.compile(
    r"unsupported|not\W+(be\W+)?(supported|permitted|allowed|recogni[sz]ed|available|implemented|valid)"
    r"|does\W?n.t support|\bunknown\b|unrecogni[sz]ed|unexpected|\bextra\b|deprecated|\binstead\b"
    r"|invalid (parameter|field)",
    re.IGNORECASE,
)
LOGPROBS = re.compile(r"log.?prob", re.IGNORECASE)
ONLY_TOP_LOGPROBS = re.compile(r"(?!.*\blogprobs).*top_logprobs", re.IGNORECASE | re.DOTALL)
TOKEN_LIMIT = re.compile(r"\bmax_(completion_|new_)?tokens\b", re.IGNORECASE)
TEMPERATURE = re.compile(r"\btemperature\b", re.IGNORECASE)
GRAMMAR = re.compile(r"\bgrammar\b", re.IGNORECASE)
CHOICES = re.compile(r"structured.?output|guided", re.IGNORECASE)
RESPONSE_FORMAT = re.compile(
    r"response.?(format|schema)|json.?(schema|object|mode)|structured.?output|grammar", re.IGNORECASE
)
SYSTEM_ROLE = re.compile(r"\b(system|developer|roles?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The fields of a request that a model on a server accepts.

    Attributes:
        token_limit: name of the field that limits the answer's tokens; None if it accepts neither name.
        top_logprobs: whether alternatives may be requested, if `logprobs` may.
        system_role: whether a message may have the role "system".
        grammar: whether a `grammar` is sent in place of `structured_outputs` and `response_format`.
        choices: whether `structured_outputs` may be sent.
        response_format: whether `response_format` may be sent.
        proven: whether a request has been accepted.
    """

    token_limit: str | None = "max_tokens"
    temperature: bool = True
    logprobs: bool = True
    top_logprobs: bool = True
    system_role: bool = True
    grammar: bool = False
    choices: bool = True
    response_format: bool = True
    proven: bool = False

    def request(
        self,
        question: str,
        images: Sequence[bytes],
        *,
        model: str,
        max_tokens: int,
        system: str | None = None,
        choices: Sequence[str] = (),
        response_format: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        alternatives: int = 2,
    ) -> dict[str, Any]:
        """Returns the body of a chat completion request: greedy, with the images, if any, as data URLs."""
        messages: list[dict[str, Any]] = []
        if system and self.system_role:
            messages.append({"role": "system", "content": system})
        elif system:
            question = f"{system}\n\n{question}"
        text = {"type": "text", "text": question}
        content = [*map(_image_part, images), text] if images else question
        request: dict[str, Any] = {
            "model": model,
            "messages": [*messages, {"role": "user", "content": content}],
        }
        if self.token_limit:
            request[self.token_limit] = max_tokens
        if self.temperature:
            request["temperature"] = 0
        if self.logprobs:
            request["logprobs"] = True
        if self.logprobs and self.top_logprobs:
            request["top_logprobs"] = alternatives
        if grammar is not None and self.grammar:
            return {**request, "grammar": grammar}
        if choices and self.choices:
            request["structured_outputs"] = {"choice": list(choices)}
        if response_format is not None and self.response_format:
            request["response_format"] = dict(response_format)
        return request

    def after_refusal(self, request: Mapping[str, Any], error: VlmRefused) -> Dialect | None:
        """Returns the dialect for the next try; None if the refusal has another cause than a field."""
        if error.status < 400:  # accepted, but the reply has no answer
            return None
        if accepted_images(error, sent_images(request)) is not None:
            return None
        message = str(error).partition(": ")[2]  # without the server's URL
        if "logprobs" in request and LOGPROBS.search(message):
            if "top_logprobs" in request and ONLY_TOP_LOGPROBS.match(message):
                return replace(self, top_logprobs=False)
            return replace(self, logprobs=False)
        if "grammar" in request and GRAMMAR.search(message):
            return replace(self, grammar=False)
        if "structured_outputs" in request and CHOICES.search(message):
            return replace(self, choices=False)
        if "response_format" in request and RESPONSE_FORMAT.search(message):
            return replace(self, response_format=False)
        if "temperature" in request and TEMPERATURE.search(message):
            return replace(self, temperature=False)
        if self.token_limit and TOKEN_LIMIT.search(message) and UNSUPPORTED.search(message):
            other = "max_completion_tokens" if self.token_limit == "max_tokens" else None
            return replace(self, token_limit=other)
        if request["messages"][0]["role"] == "system" and SYSTEM_ROLE.search(message):
            return replace(self, system_role=False)
        unnamed = error.status in (400, 422) and UNSUPPORTED.search(message)
        return self._without_next(request) if unnamed else None

    def _without_next(self, request: Mapping[str, Any]) -> Dialect | None:
        if "response_format" in request:  # the first request with it may follow many without
            return replace(self, response_format=False)
        if self.proven:
            return None
        if "structured_outputs" in request:
            return replace(self, choices=False)
        if "logprobs" in request:
            return replace(self, logprobs=False)
        if "temperature" in request:
            return replace(self, temperature=False)
        return None


class ServerDialects:
    """What one server accepts, by model: a gateway may have models of several vendors."""

    def __init__(self) -> None:
        self._dialects: dict[str, Dialect] = {}
        self._without_logprobs: dict[str, int] = {}
        self._with_grammar: set[str] = set()

    def of(self, model: str) -> Dialect:
        """Returns the dialect of `model`; as long as it is unknown, every field is sent."""
        return self._dialects.get(model, Dialect(grammar=model in self._with_grammar))

    def listed(self, cards: Iterable[ModelCard]) -> None:
        """Records what the model list shows; it does not change the dialect of a model that has answered."""
        self._with_grammar = {card.id for card in cards if card.grammar}

    def accepted(self, model: str, dialect: Dialect) -> None:
        """Records that a request in `dialect` was accepted."""
        if model not in self._dialects and len(self._dialects) >= MAX_MODELS:
            self._dialects.clear()
            self._without_logprobs.clear()
        self._dialects[model] = replace(dialect, proven=True)

    def answered(self, model: str, *, has_logprobs: bool) -> None:
        """Records whether an answer, after `accepted`, had log-probabilities."""
        missing = 0 if has_logprobs else self._without_logprobs.get(model, 0) + 1
        self._without_logprobs[model] = missing
        if missing >= MAX_WITHOUT_LOGPROBS:
            self._dialects[model] = replace(self.of(model), logprobs=False)


def names_refused_field(message: str) -> bool:
    """Whether a message says that a field of a request is unsupported; some servers do so with status 500."""
    names = LOGPROBS, TOKEN_LIMIT, TEMPERATURE, CHOICES, RESPONSE_FORMAT
    return bool(
        LOGPROBS.search(message)
        or (UNSUPPORTED.search(message) and any(name.search(message) for name in names))
    )


def lacks_endpoint(error: VlmError) -> bool:
    """Whether a server may lack an endpoint, as far as its response shows."""
    if isinstance(error, VlmRefused | VlmUnavailable):
        status = error.status or 0
        return status in UNKNOWN_PATH or 300 <= status < 400
    return type(error) is VlmError  # a page of HTML, or another reply that cannot be read


def is_specific(error: VlmError) -> bool:
    """Whether a response that `lacks_endpoint` accepts may also come from the endpoint itself."""
    return isinstance(error, VlmRefused) and error.status in (400, 401, 403)


def _image_part(image: bytes) -> dict[str, Any]:
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(image).decode()}"},
    }
