"""Rows of a reference page from a JSON schema: one for each key of a configuration file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.documents.units import unit_of

Schema = Mapping[str, Any]
LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "minLength": "characters: at least",
    "maxLength": "characters: at most",
    "minItems": "entries: at least",
    "maxItems": "entries: at most",
}
MAPPING_KEY = "NAME"


@dataclass(frozen=True)
class Row:
    """One key.

    Attributes:
        key: with those that it is below, as `broker.url`; `[]` is an entry of a list, `NAME` any key.
        default: as it is written in YAML; None for a key that is required.
    """

    key: str
    kind: str
    default: str | None
    meaning: str

    def markdown(self) -> str:
        """Returns the row of the table."""
        default = "required" if self.default is None else self.default
        cells = (f"`{self.key}`", self.kind, unit_of(self.key), default, self.meaning)
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def rows(schema: Schema) -> Iterator[Row]:
    """Returns a row for each key, those of a section after it."""
    yield from _of_section(schema, schema)


def table(schema: Schema) -> str:
    """Returns all rows as a table."""
    head = "| key | type | unit | default | meaning |\n|---|---|---|---|---|\n"
    return head + "\n".join(row.markdown() for row in rows(schema)) + "\n"


def _of_section(
    root: Schema, section: Schema, prefix: str = "", defaults: Mapping[str, Any] | None = None
) -> Iterator[Row]:
    """Returns the rows of a section, whose keys have `defaults` where it is a default itself."""
    for name, own in section.get("properties", {}).items():
        field = {**own, "default": defaults[name]} if defaults and name in defaults else own
        below = list(_sections(root, field))
        required = name in section.get("required", []) and "default" not in field
        yield Row(
            key=prefix + name,
            kind=_kind(root, field),
            default=None if required else _default(field, is_section=bool(below)),
            meaning=field.get("description") or next((_headline(one) for one, _ in below), ""),
        )
        given = field.get("default")
        for one, suffix in below:
            yield from _of_section(
                root, one, f"{prefix}{name}{suffix}.", given if isinstance(given, Mapping) else None
            )


def _sections(root: Schema, field: Schema) -> Iterator[tuple[Schema, str]]:
    """Returns the sections in a field, each with what stands between their keys and that of the field."""
    if "$ref" in field:
        yield _referred(root, field), ""
    for one in field.get("anyOf", ()):
        yield from _sections(root, one)
    if isinstance(items := field.get("items"), Mapping):
        yield from ((section, f"[]{suffix}") for section, suffix in _sections(root, items))
    if isinstance(values := field.get("additionalProperties"), Mapping):
        yield from ((section, f".{MAPPING_KEY}{suffix}") for section, suffix in _sections(root, values))


def _referred(root: Schema, field: Schema) -> Schema:
    section: Schema = root["$defs"][field["$ref"].removeprefix("#/$defs/")]
    return section


def _kind(root: Schema, field: Schema) -> str:
    """Returns the type and the limits of a field in words."""
    if "$ref" in field:
        return "section"
    if "anyOf" in field:
        kinds = dict.fromkeys(_kind(root, one) for one in field["anyOf"])
        if field.get("default", ...) is None:
            kinds.pop("null", None)  # the column of defaults has it
        return " or ".join(kinds)
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        items = field.get("items")
        if not items:
            items = field.get("prefixItems", [{}])[0]
        return f"list of {_kind(root, items)}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {_kind(root, values)}" if isinstance(values, Mapping) else "mapping"
    kind = "path" if field.get("format") == "path" else str(field.get("type", "anything"))
    kind = {"string": "text", "boolean": "true or false", "integer": "whole number"}.get(kind, kind)
    limits = [f"{word} {field[name]:,}" for name, word in LIMITS.items() if name in field]
    return f"{kind} ({', '.join(limits)})" if limits else kind


def _default(field: Schema, *, is_section: bool) -> str:
    """Returns the default as it is written in YAML; nothing for a section, whose keys have theirs."""
    value = field.get("default")
    if value is None and "default" not in field:
        return "" if is_section else "see meaning" if field.get("description", "").count("default:") else ""
    if isinstance(value, Mapping) and is_section:
        return ""
    if value in (None, [], {}):
        return "none"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _headline(section: Schema) -> str:
    return str(section.get("description", "")).partition("\n\n")[0]
