"""docs/topics.md: every topic with its messages, from docs/asyncapi.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
HEAD = """# Topics

{description}

[asyncapi.yaml](asyncapi.yaml) has the same for programs, as AsyncAPI 3. Fields that are not listed may be
added: ignore them. A query alone may have no others. Written by `python -m lab.documents` from that file.

## All topics

| topic | the agent | QoS | retained | message |
|---|---|---|---|---|
"""


def page(path: Path = DOCUMENT) -> str:
    """Returns the page."""
    document = Document(yaml.safe_load(path.read_text()))
    text = HEAD.format(description=document.content["info"]["description"])
    text += "".join(f"{line}\n" for line in _overview(document))
    text += "\n"
    for channel in document.content["channels"].values():
        text += f"- `{_address(channel)}`: {channel['description']}\n"
    for message in document.content["components"]["messages"].values():
        text += "\n" + "\n".join(_message(document, message)) + "\n"
    return text


class Document:
    """An AsyncAPI document."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def resolve(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns what `value` refers to, or itself."""
        while "$ref" in value:
            found: Any = self.content
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value


def _address(channel: Mapping[str, Any]) -> str:
    return str(channel["address"]).replace("{", "<").replace("}", ">")


def _overview(document: Document) -> Iterator[str]:
    for operation in document.content["operations"].values():
        channel = document.resolve(operation["channel"])
        mqtt = document.resolve(operation["bindings"])["mqtt"]
        messages = [document.resolve(message)["title"] for message in channel["messages"].values()]
        links = " or ".join(f"[{title}](#{title.lower().replace(' ', '-')})" for title in messages)
        verb = {"send": "sends", "receive": "receives"}[operation["action"]]
        retained = "yes" if mqtt["retain"] else "no"
        yield f"| `{_address(channel)}` | {verb} | {mqtt['qos']} | {retained} | {links} |"


def _message(document: Document, message: Mapping[str, Any]) -> Iterator[str]:
    payload = document.resolve(message["payload"])
    yield f"## {message['title']}\n"
    if "summary" in message:
        yield f"{message['summary']}\n"
    if "headers" in message:
        yield "User properties:\n"
        yield from _fields(document.resolve(message["headers"]))
    if payload.get("type") == "object":
        yield from _fields(payload)
    elif "enum" in payload:
        yield f"One word: {', '.join(f'`{word}`' for word in payload['enum'])}.\n"
    for example in message["examples"]:
        payload = example["payload"]
        text = payload if isinstance(payload, str) else json.dumps(payload, indent=2, ensure_ascii=False)
        yield f"Example ({example['name']}):\n"
        if "headers" in example:
            yield f"```json\n{json.dumps(example['headers'], indent=2)}\n```\n"
        yield f"```{'text' if isinstance(payload, str) else 'json'}\n{text}\n```\n"


def _fields(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Returns the table of the fields of an object."""
    yield "| field | type | | meaning |\n|---|---|---|---|"
    yield from _field_rows(schema, prefix)
    yield ""


def _field_rows(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in schema["properties"].items():
        kinds = field.get("type", "" if "const" not in field and "enum" not in field else "one of")
        kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
        allowed = field.get("enum", [field["const"]] if "const" in field else [])
        kind = ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in allowed) or kind
        required = "always" if name in schema.get("required", []) else ""
        yield f"| `{prefix}{name}` | {kind} | {required} | {field.get('description', '')} |"
        items = field.get("items", {})
        for nested, suffix in ((field, "."), (items, "[].")):
            if isinstance(nested, Mapping) and "properties" in nested:
                yield from _field_rows(nested, f"{prefix}{name}{suffix}")
