"""The differences between OpenAI-compatible servers, each as a scripted stand-in and what the client does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]
Response = tuple[int, object]

TOKEN = {"token": "red", "logprob": -0.1, "top_logprobs": [{"logprob": -0.1}, {"logprob": -3}]}
GRAMMAR = 'root ::= "red" | "blue"'
HTML = (200, "<!doctype html><html>Welcome</html>")
NOT_FOUND = (404, "404 page not found")


def reply(
    content: object = "red", finish_reason: str = "stop", logprobs: object = None, **message: Any
) -> Fields:
    message = {"role": "assistant", "content": content, **message}
    return {"choices": [{"message": message, "finish_reason": finish_reason, "logprobs": logprobs}]}


def answer(request: Fields) -> Fields:
    return reply(logprobs={"content": [TOKEN]} if request.get("logprobs") else None)


def refuses(name: str, status: int, body: object) -> Callable[[Fields], Response | None]:
    """Refuses every request that has the field; "system" is the role of a message."""

    def refuse(request: Fields) -> Response | None:
        roles = {message["role"] for message in request["messages"]}
        return (status, body) if name in request or name in roles else None

    return refuse


def openai(message: str, param: str | None = None) -> Fields:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


@dataclass(frozen=True)
class Case:
    """A server, and what the client does with it.

    Attributes:
        url_path: path of the URL that the client is given.
        base: path below which the server has its API.
        refusals: functions that return a response to a refused request, else None.
        reply: the body of the response to an accepted request.
        unknown: the response to every unknown path.
        models: the body of the model list; None if the server has no list.
        configured: models that the configuration names.
        calls: requests with a correct path that two questions need.
        sent: fields of the accepted request, with their values; None for a missing field.
        failure: the reason of the failure, with a part of the message.
    """

    url_path: str = "/v1"
    base: str = "/v1"
    refusals: tuple[Callable[[Fields], Response | None], ...] = ()
    reply: Callable[[Fields], object] = answer
    unknown: Response = NOT_FOUND
    models: object = field(default_factory=lambda: {"data": [{"id": "m"}]})
    configured: tuple[str, ...] = ()
    calls: int = 2
    sent: Fields = field(default_factory=dict)
    failure: tuple[str, str] | None = None


def always(body: object) -> Callable[[Fields], object]:
    return lambda _: body


def fails(body: object, reason: str, message: str) -> Case:
    return Case(reply=always(body), failure=(reason, message))


COMPLETION_TOKENS = openai(
    "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead.",
    "max_tokens",
)
EXTRA = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}

CASES = {
    # Fields that a server refuses
    "everything is accepted": Case(
        sent={
            "max_tokens": 4,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 2,
            "response_format.type": "json_object",
        }
    ),
    "max_completion_tokens instead": Case(
        refusals=(refuses("max_tokens", 400, COMPLETION_TOKENS),),
        calls=3,
        sent={"max_tokens": None, "max_completion_tokens": 4, "logprobs": True, "temperature": 0},
    ),
    "no token limit": Case(
        refusals=(
            refuses("max_tokens", 400, {"detail": "Unknown field max_tokens"}),
            refuses("max_completion_tokens", 400, {"detail": "Unknown field max_completion_tokens"}),
        ),
        calls=4,
        sent={"max_tokens": None, "max_completion_tokens": None},
    ),
    "no temperature": Case(
        refusals=(
            refuses(
                "temperature",
                400,
                openai("Unsupported value: 'temperature' does not support 0 with this model.", "temperature"),
            ),
        ),
        calls=3,
        sent={"temperature": None, "logprobs": True, "max_tokens": 4},
    ),
    "a reasoning model": Case(
        refusals=(
            refuses("max_tokens", 400, COMPLETION_TOKENS),
            refuses("temperature", 400, openai("Only the default (1) is supported", "temperature")),
            refuses("logprobs", 400, openai("'logprobs' is not supported with this model.", "logprobs")),
        ),
        calls=5,
        sent={"temperature": None, "logprobs": None, "max_tokens": None, "max_completion_tokens": 4},
    ),
    "no logprobs": Case(
        refusals=(refuses("logprobs", 400, {"error": "logprobs are not supported"}),),
        calls=3,
        sent={"logprobs": None, "top_logprobs": None, "temperature": 0},
    ),
    "no logprobs, with status 500": Case(
        refusals=(refuses("logprobs", 500, {"error": {"message": "not implemented: log probs"}}),),
        calls=3,
        sent={"logprobs": None},
    ),
    "no logprobs, with status 200": Case(
        refusals=(refuses("logprobs", 200, {"error": {"message": "logprobs: not available"}}),),
        calls=3,
        sent={"logprobs": None},
    ),
    "both are refused at once": Case(
        refusals=(
            refuses(
                "logprobs",
                400,
                openai("m does not support parameters: ['logprobs', 'top_logprobs']; set drop_params"),
            ),
        ),
        calls=3,
        sent={"logprobs": None, "top_logprobs": None},
    ),
    "no top_logprobs": Case(
        refusals=(refuses("top_logprobs", 422, {"detail": [{**EXTRA, "loc": ["body", "top_logprobs"]}]}),),
        calls=3,
        sent={"logprobs": True, "top_logprobs": None},
    ),
    "neither of them": Case(
        refusals=(
            refuses("top_logprobs", 422, {"detail": [{**EXTRA, "loc": ["body", "top_logprobs"]}]}),
            refuses("logprobs", 422, {"detail": [{**EXTRA, "loc": ["body", "logprobs"]}]}),
        ),
        calls=4,
        sent={"logprobs": None, "top_logprobs": None},
    ),
    "no system role": Case(
        refusals=(refuses("system", 400, {"error": {"message": "System role not supported"}}),),
        calls=3,
        sent={"messages.0.role": "user"},
    ),
    "no system role, of a gateway": Case(
        refusals=(
            refuses(
                "system",
                400,
                {
                    "error": {
                        "message": "Provider returned error",
                        "code": 400,
                        "metadata": {"raw": "Developer instruction is not enabled for this model"},
                    }
                },
            ),
        ),
        calls=3,
        sent={"messages.0.role": "user"},
    ),
    "no structured_outputs": Case(
        refusals=(refuses("structured_outputs", 400, openai("Unrecognized argument: structured_outputs")),),
        calls=3,
        sent={"structured_outputs": None, "logprobs": True},
    ),
    "no response_format": Case(
        refusals=(refuses("response_format", 400, {"error": "json_schema is not supported"}),),
        calls=3,
        sent={"response_format": None, "structured_outputs.choice.0": "red", "logprobs": True},
    ),
    "no response_format, with status 500": Case(
        refusals=(refuses("response_format", 500, {"error": "unknown response_format"}),),
        calls=3,
        sent={"response_format": None, "logprobs": True},
    ),
    "a grammar for llama.cpp": Case(
        models={"data": [{"id": "m", "owned_by": "llamacpp"}]},
        sent={"grammar": GRAMMAR, "structured_outputs": None, "response_format": None, "logprobs": True},
    ),
    "a grammar only for llama.cpp": Case(sent={"grammar": None, "structured_outputs.choice.0": "red"}),
    "no grammar, of something in front of llama.cpp": Case(
        models={"data": [{"id": "m", "owned_by": "llamacpp"}]},
        refusals=(refuses("grammar", 400, openai("Unrecognized argument: grammar")),),
        calls=3,
        sent={"grammar": None, "structured_outputs.choice.0": "red"},
    ),
    "an unknown field without its name": Case(
        refusals=(refuses("temperature", 422, [{"error": {"message": "Unknown field in the request"}}]),),
        calls=6,
        sent={"temperature": None, "response_format": None},
    ),
    "another refusal is not repeated": Case(
        refusals=(refuses("max_tokens", 400, openai("max_tokens must be at most 2")),),
        failure=("", "must be at most 2"),
    ),
    # Base URLs
    "no path": Case(url_path=""),
    "a slash": Case(url_path="/"),
    "/v1 with a slash": Case(url_path="/v1/"),
    "/v1beta/openai/": Case(url_path="/v1beta/openai/", base="/v1beta/openai"),
    "/api/paas/v4": Case(url_path="/api/paas/v4", base="/api/paas/v4"),
    "/compatible-mode/v1": Case(url_path="/compatible-mode/v1/", base="/compatible-mode/v1"),
    "a prefix of /v1": Case(url_path="/llm", base="/llm/v1"),
    "a path without a version": Case(url_path="/inference/", base="/inference"),
    "the API at the root": Case(url_path="", base=""),
    "the API at the root, of a server that refuses a field": Case(
        url_path="", base="", refusals=(refuses("logprobs", 400, openai("no logprobs")),), calls=3
    ),
    # Model lists and unknown paths
    "no model list": Case(models=None, configured=("m",)),
    "no model list, 403": Case(models=None, configured=("m",), unknown=(403, {"message": "Forbidden"})),
    "no model list, 400": Case(models=None, configured=("m",), unknown=(400, "bad request")),
    "no model list, HTML": Case(models=None, configured=("m",), unknown=HTML),
    "no model list, an error with 200": Case(
        models=None, configured=("m",), unknown=(200, {"error": "Unexpected endpoint"})
    ),
    "no model list, a redirect": Case(models=None, configured=("m",), unknown=(302, "")),
    "unknown paths are 403": Case(unknown=(403, "")),
    "unknown paths are 400": Case(unknown=(400, {"error": {"message": "unknown path"}})),
    "unknown paths are 501": Case(unknown=(501, "")),
    "unknown paths are HTML": Case(url_path="", base="", unknown=HTML),
    "a list without data": Case(models=[{"id": "m", "object": "model"}]),
    "a list of 400 models": Case(
        models={"data": [{"id": f"other{number}"} for number in range(399)] + [{"id": "m"}]},
        configured=("m",),
    ),
    # Answers
    "a list of parts": Case(
        reply=always(reply([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "red"}]))
    ),
    "thoughts before the answer": Case(reply=always(reply("<think>\nIt is...\n</think>\n\nred"))),
    "thoughts without a beginning": Case(reply=always(reply("It is...</think>red"))),
    "thoughts in a field": Case(reply=always(reply("red", reasoning_content="It is..."))),
    "an answer that ends at the token limit": Case(reply=always(reply("red", "length"))),
    "a text beside a tool call": Case(
        reply=always(reply("red", "tool_calls", tool_calls=[{"function": {"name": "look"}}]))
    ),
    # Replies without an answer
    "content is null": fails(reply(None), "empty", "the answer is empty"),
    "content is missing": fails({"choices": [{"message": {}}]}, "empty", "the answer is empty"),
    "content is blank": fails(reply(" \n\u200b"), "empty", "the answer is empty"),
    "content is an empty list": fails(reply([]), "empty", "the answer is empty"),
    "a refusal": fails(reply(None, refusal="I cannot help"), "refusal", "I cannot help"),
    "a refusal as a part": fails(
        reply([{"type": "refusal", "refusal": "I cannot help"}]), "refusal", "I cannot help"
    ),
    "a refusal that names a field": fails(
        reply(None, refusal="I cannot read the temperature"), "refusal", "the temperature"
    ),
    "a content filter": fails(reply("", "content_filter"), "content_filter", "content filter"),
    "a content filter within the text": fails(
        reply("re", "content_filter: SAFETY"), "content_filter", "content filter"
    ),
    "no text before the token limit": fails(reply("", "length"), "length", "raise max_tokens"),
    "only thoughts": fails(reply("<think>It is"), "reasoning", "no answer"),
    "only thoughts, closed": fails(reply("<think>It is</think>\n"), "reasoning", "no answer"),
    "only thoughts, in a field": fails(reply("", "length", reasoning="It is"), "reasoning", "no answer"),
    "a tool call": fails(
        reply(None, "tool_calls", tool_calls=[{"function": {"name": "look"}}]), "tool_call", "'look'"
    ),
    "a function call": fails(
        reply(None, "function_call", function_call={"name": "look"}), "tool_call", "'look'"
    ),
}
