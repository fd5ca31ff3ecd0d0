"""What the client returns: an answer with its confidence, and the description of a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vlm.errors import VlmError
from vlm.remote_values import clean_text, count

log = logging.getLogger(__name__)

MAX_ID_LENGTH = 256
MAX_RESOLUTIONS = 16
MAX_RESOLUTION = 65_536
MAX_TOKENS = 2**31 - 1


@dataclass(frozen=True)
class Confidence:
    """The model's own token probabilities for its answer; None where the server does not report them.

    Attributes:
        first_token_margin: p(best) - p(second) of the first answer token that is not blank, in [0, 1].
        mean_logprob: mean over the answer's tokens, in nats.
        tokens: number of tokens in that mean.
    """

    first_token_margin: float | None = None
    mean_logprob: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Completion:
    """An answer to one question.

    Attributes:
        text: the answer.
        model: the model that gave it, by its name on the server.
        latency_ms: duration of the whole call, measured by the client.
        queue_ms: time in the server's queue, None if the server does not report it.
        compute_ms: computing time on the server, None if the server does not report it.
        confidence: see Confidence.
        completion_tokens: length of the answer in tokens, None if the server does not report it.
        prompt_tokens: length of the prompt in tokens, images included, None if the server does not report it.
        request_bytes: size of the HTTP request body.
        choice_probabilities: the probability of each choice, if the request had choices and the server
            reports them; else None.
        first_token: the probability of the first answer token that is not blank, and of its alternatives, by
            their texts; empty if the server reports no alternatives.
    """

    text: str
    model: str
    latency_ms: float
    queue_ms: float | None
    compute_ms: float | None
    confidence: Confidence
    completion_tokens: int | None
    request_bytes: int
    choice_probabilities: Mapping[str, float] | None = None
    prompt_tokens: int | None = None
    first_token: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelCard:
    """What a server reports about one of its models; only the id is certain on other servers.

    Attributes:
        id: its name on that server.
        resolutions: recommended longest image sides in pixels; empty if unknown.
        max_tokens: most output tokens that a request may ask for.
        quantization: "nf4", "int8", "none", or the name of another format.
        parameters: number of weights.
        max_images: most images that a request may have; None if there is no limit, or it is unknown.
        instructions: whether it follows instructions on the form of its answer; assumed if unknown.
        sha256: the digest of its files, see `vlm.model_files`; None if the server reports none.
        grammar: whether its server is llama.cpp's, which constrains an answer by the field `grammar`.
    """

    id: str
    resolutions: tuple[int, ...] = ()
    max_tokens: int | None = None
    quantization: str | None = None
    parameters: int | None = None
    max_images: int | None = None
    instructions: bool = True
    grammar: bool = False
    sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns an entry of /v1/models; what OpenAI's schema does not have is under "inarvl"."""
        return {
            "id": self.id,
            "object": "model",
            "created": 0,
            "owned_by": "inarvl",
            "inarvl": {
                "resolutions": list(self.resolutions),
                "max_tokens": self.max_tokens,
                "quantization": self.quantization,
                "parameters": self.parameters,
                "max_images": self.max_images,
                "instructions": self.instructions,
                "sha256": self.sha256,
            },
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ModelCard:
        """Reads an entry of /v1/models of any server; missing or malformed values become None or empty.

        Of more than MAX_RESOLUTIONS resolutions the first ones are used.

        Raises:
            VlmError: the entry has no id, or an id that is too long.
        """
        name = entry.get("id")
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_ID_LENGTH:
            raise VlmError(
                f"/v1/models returned a model without an id of 1 to {MAX_ID_LENGTH} characters; "
                "is this an OpenAI-compatible server?"
            )
        name = clean_text(name)
        extension = entry.get("inarvl")
        extension = extension if isinstance(extension, Mapping) else {}
        quantization = extension.get("quantization")
        return cls(
            id=name,
            resolutions=_resolutions(name, extension.get("resolutions")),
            max_tokens=count(extension.get("max_tokens"), MAX_TOKENS),
            quantization=clean_text(quantization, 40) if isinstance(quantization, str) else None,
            parameters=count(extension.get("parameters")),
            max_images=count(extension.get("max_images")) or None,
            instructions=extension.get("instructions") is not False,
            grammar=entry.get("owned_by") == "llamacpp",
            sha256=clean_text(extension.get("sha256"), 64) or None,
        )


def _resolutions(model: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    valid = dict.fromkeys(entry for entry in value if count(entry, MAX_RESOLUTION))
    if len(valid) > MAX_RESOLUTIONS:
        log.warning("%s: the first %d of %d resolutions are used", model[:80], MAX_RESOLUTIONS, len(valid))
    return tuple(valid)[:MAX_RESOLUTIONS]
