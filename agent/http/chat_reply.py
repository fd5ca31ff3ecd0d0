"""An answer in OpenAI's schema: one object, or server-sent events, and its headers.

`usage` is left out: several models may have been asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from agent.forms.form import AnswerForm
from agent.messages.reply import Answer

DONE = b"data: [DONE]\n\n"
MAX_HEADER = 500
HEADERS = {
    "tier": "X-Inarvl-Tier",
    "model": "X-Inarvl-Model",
    "reason": "X-Inarvl-Reason",
    "decision_id": "X-Inarvl-Decision-Id",
    "confidence": "X-Inarvl-Confidence",
    "latency_ms": "X-Inarvl-Latency-Ms",
    "energy_j": "X-Inarvl-Energy-J",
    "energy_source": "X-Inarvl-Energy-Source",
    "cost": "X-Inarvl-Cost",
    "currency": "X-Inarvl-Currency",
    "cost_source": "X-Inarvl-Cost-Source",
    "warning": "X-Inarvl-Warning",
}
UNKNOWN = "the model says that the answer cannot be determined from the image"


class ChatReply:
    """The reply to one request.

    Args:
        form: the form of the answer that was asked for.
    """

    def __init__(self, answer: Answer, form: AnswerForm) -> None:
        self._about: dict[str, Any] = json.loads(answer.to_bytes())
        del self._about["answer"]
        self._message: dict[str, Any] = {"role": "assistant", "content": answer.answer}
        if form.kind == "json" and answer.value is None:
            self._message["refusal"] = UNKNOWN
        elif form.kind == "json":
            self._message["content"] = json.dumps(answer.value, ensure_ascii=False)
        self._head = {
            "id": f"chatcmpl-{answer.id}",
            "created": int(time.time()),
            "model": f"{answer.tier}/{answer.model}",
        }

    @property
    def headers(self) -> dict[str, str]:
        """What the body says under `inarvl`, without line breaks and in ASCII."""
        return {
            header: _header_text(self._about[name])
            for name, header in HEADERS.items()
            if self._about.get(name) is not None
        }

    def completion(self) -> dict[str, Any]:
        """Returns a `chat.completion` object."""
        choice = {"index": 0, "message": self._message, "logprobs": None, "finish_reason": "stop"}
        return {**self._head, "object": "chat.completion", "choices": [choice], "inarvl": self._about}

    def events(self) -> Iterator[bytes]:
        """Yields server-sent events with `chat.completion.chunk` objects: the answer, its end, `[DONE]`."""
        yield self._event({"index": 0, "delta": self._message, "finish_reason": None})
        yield self._event({"index": 0, "delta": {}, "finish_reason": "stop"}, inarvl=self._about)
        yield DONE

    def _event(self, choice: dict[str, Any], **more: Any) -> bytes:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice], **more}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _header_text(value: object) -> str:
    text = str(value)[:MAX_HEADER].encode("ascii", "replace").decode()
    return "".join(character if character.isprintable() else " " for character in text)
