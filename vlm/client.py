"""Asks a vision-language model behind any OpenAI-compatible server: inarvl-vlm or another.

How such servers differ is handled in `vlm.dialect`, `vlm.base_url` and `vlm.replies`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from vlm import replies
from vlm.base_url import api_bases, probe_base
from vlm.client_tls import ClientTls
from vlm.completion import Completion, Confidence, ModelCard
from vlm.connection import AddressCheck, Connection, Reply
from vlm.dialect import Dialect, ServerDialects, is_specific, lacks_endpoint
from vlm.errors import VlmError, VlmRefused
from vlm.server_load import read_load
from vlm.timing import DEADLINE_HEADER

__all__ = ["Completion", "Confidence", "ModelCard", "Ping", "VlmClient"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ping:
    """One measurement of the link.

    Attributes:
        rtt_ms: duration of the whole call.
        server_ms: the server's part of it, None if the server does not report it.
        sent_bytes: size of the uploaded payload, 0 if the server has no endpoint for uploads.
    """

    rtt_ms: float
    server_ms: float | None
    sent_bytes: int


class VlmClient:
    """A connection pool to one server.

    Every call raises VlmUnavailable, VlmTimeout, VlmBusy or VlmRefused, and VlmError for an unreadable reply.

    Args:
        url: "unix:/run/inarvl/vlm.sock", or "http(s)://host:port" with the base path of the API, if it is
            another one than /v1.
        api_key: sent as a bearer token.
        models: names from the configuration; `models` returns these only, also if the server has no list.
        tls: by what an https server is known; None for the system's CAs.
        address_problem: checks each address before it is connected to, see `AddressCheck`.

    Raises:
        VlmError: `url` has another form.
        BadTlsFile: a file of `tls` cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        models: Sequence[str] = (),
        tls: ClientTls | None = None,
        address_problem: AddressCheck | None = None,
    ) -> None:
        self._url = url
        self._connection = Connection(url, api_key, tls, address_problem)
        self._api_bases = api_bases(self._connection.base_url)
        self._probe_base = probe_base(self._connection.base_url)
        self._configured_models = tuple(models)
        self._dialects = ServerDialects()
        self._supports_probes = True
        self._reports_load = True

    async def complete(
        self,
        question: str,
        image: bytes | Sequence[bytes] | None,
        *,
        model: str,
        max_tokens: int,
        timeout_s: float,
        system: str | None = None,
        choices: Sequence[str] = (),
        response_format: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        alternatives: int = 2,
    ) -> Completion:
        """Asks `question` about an image, or about several in their order, with greedy decoding.

        Cancelling the call closes its connection, which stops the generation on the server.

        Args:
            image: an encoded JPEG, PNG or WebP, or several; None for a question in text alone, which some
                servers refuse.
            system: an instruction that precedes the question.
            choices: the possible answers; a server that cannot constrain its answer ignores them.
            response_format: the field of that name, such as a JSON schema; left out if the server refuses it.
            grammar: the possible answers in GBNF, which llama.cpp's server receives instead of these two.
            alternatives: of how many tokens at each place the log-probabilities are requested, at most 20.
        """
        started = time.monotonic()
        dialect = self._dialects.of(model)
        images = (image,) if isinstance(image, bytes) else tuple(image or ())
        while True:
            request = dialect.request(
                question,
                images,
                model=model,
                max_tokens=max_tokens,
                system=system,
                choices=choices,
                response_format=response_format,
                grammar=grammar,
                alternatives=alternatives,
            )
            try:
                return await self._complete(request, dialect, started, timeout_s)
            except VlmRefused as error:
                changed = dialect.after_refusal(request, error)  # removes a field each time, so this ends
                if changed is None:
                    raise
                log.info("trying another request for %s: %s", model, error)
                dialect = changed

    async def models(self, *, timeout_s: float = 5) -> list[ModelCard]:
        """Returns the models of the server, or those that the configuration names."""
        try:
            reply = await self._api("GET", "/models", timeout_s)
            listed = replies.read_models(self._url, reply.content)
            self._dialects.listed(listed)
        except VlmError as error:
            if not self._has_no_list(error):
                raise
            listed = []
        if self._configured_models:
            cards = {card.id: card for card in listed}
            listed = [cards.get(name, ModelCard(name)) for name in dict.fromkeys(self._configured_models)]
        return replies.first_models(self._url, listed)

    async def ping(self, *, payload_bytes: int = 0, timeout_s: float = 5) -> Ping:
        """Measures a round trip, or with `payload_bytes` an upload of that size.

        On a server without /healthz and /probe the round trip is GET /v1/models, and nothing is uploaded.
        """
        if self._supports_probes:
            try:
                # Fixed but incompressible: compression in a tunnel would make the link look faster.
                payload = Random(0).randbytes(payload_bytes) if payload_bytes else None
                method, path = ("POST", "/probe") if payload else ("GET", "/healthz")
                reply = await self._probe(method, path, timeout_s, payload)
                return Ping(reply.latency_ms, reply.timing.compute_ms, payload_bytes)
            except VlmError as error:
                if not lacks_endpoint(error):
                    raise
        ping = await self._ping_model_list(timeout_s)
        self._supports_probes = False
        return ping

    async def load(self, *, timeout_s: float = 1) -> int | None:
        """Returns how many requests of all its clients the server has; None if it does not report them.

        inarvl's own server is not asked, because it reports the time in its queue with each answer.
        """
        if self._supports_probes or not self._reports_load:
            return None
        try:
            metrics = await self._connection.text("GET", f"{self._probe_base}/metrics", timeout_s)
            found = read_load(metrics)
        except VlmError as error:
            if not lacks_endpoint(error):
                raise
            found = None
        self._reports_load = found is not None
        return found

    async def ready(self) -> bool:
        """Whether the server can answer now; raises no VlmError."""
        try:
            await self.check_ready()
        except VlmError:
            return False
        return True

    async def check_ready(self) -> None:
        """Raises a VlmError with the reason if the server cannot answer now."""
        self._reports_load = True  # it may have been started again with other options
        try:
            await self._probe("GET", "/readyz", 5)
        except VlmError as error:
            if not lacks_endpoint(error):
                raise
            if not await self.models():
                raise VlmError(f"{self._url} lists no models") from None

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._connection.close()

    async def _complete(
        self, request: Mapping[str, Any], dialect: Dialect, started: float, timeout_s: float
    ) -> Completion:
        left_s = timeout_s - (time.monotonic() - started)
        model, body = request["model"], json.dumps(request).encode()
        headers = {"Content-Type": "application/json", DEADLINE_HEADER: str(max(1, int(left_s * 1000)))}
        reply = await self._api("POST", "/chat/completions", left_s, body, headers)
        if not isinstance(reply.content, dict):
            raise VlmError(f"the reply of {self._url} is no JSON object")
        try:
            completion = replies.read_completion(
                self._url,
                reply.content,
                requested_model=model,
                latency_ms=(time.monotonic() - started) * 1000,
                timing=reply.timing,
                request_bytes=len(body),
            )
        except VlmRefused as error:
            if error.status == 200:  # the request was accepted, but its reply has no answer
                self._dialects.accepted(model, dialect)
            raise
        self._dialects.accepted(model, dialect)
        if dialect.logprobs:
            self._dialects.answered(model, has_logprobs=completion.confidence.tokens is not None)
        return completion

    async def _ping_model_list(self, timeout_s: float) -> Ping:
        for base in self._api_bases:
            started = time.monotonic()
            try:
                reply = await self._connection.json("GET", f"{base}/models", timeout_s)
                return Ping(reply.latency_ms, reply.timing.compute_ms, 0)
            except VlmError as error:
                if not lacks_endpoint(error):
                    raise
                latency_ms, last_error = (time.monotonic() - started) * 1000, error
        if self._has_no_list(last_error):
            return Ping(latency_ms, None, 0)  # an error response is a round trip too
        raise last_error

    def _has_no_list(self, error: VlmError) -> bool:
        """Whether the server answered, has no model list, and needs none."""
        unauthorized = isinstance(error, VlmRefused) and error.status == 401
        return bool(self._configured_models) and lacks_endpoint(error) and not unauthorized

    async def _probe(self, method: str, path: str, timeout_s: float, payload: bytes | None = None) -> Reply:
        """Calls one of inarvl's own endpoints, for which other servers may return anything."""
        reply = await self._connection.json(method, self._probe_base + path, timeout_s, payload)
        if not isinstance(reply.content, dict):
            raise VlmError(f"{self._url} has no endpoint {path}")
        return reply

    async def _api(
        self,
        method: str,
        path: str,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Calls an endpoint of the API at each possible base URL, until one of them answers."""
        until = time.monotonic() + timeout_s
        errors: list[VlmError] = []
        for base in self._api_bases:
            try:
                left_s = until - time.monotonic()
                reply = await self._connection.json(method, base + path, left_s, body, headers)
            except VlmError as error:
                if not lacks_endpoint(error):
                    raise
                errors.append(error)
            else:
                self._api_bases = (base,)
                return reply
        raise max(errors, key=is_specific)
