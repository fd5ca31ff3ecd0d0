"""The form that the sender of a question wants its answer in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

from agent.forms.json_schema import schema_problem
from inarvl.errors import InarvlError
from inarvl.quoting import quoted

Kind = Literal["yes_no", "number", "choice", "short", "text", "json", "auto"]
KINDS: Final = get_args(Kind)
MAX_CHOICES, MAX_CHOICE_LENGTH = 64, 200
MAX_SCHEMA_LENGTH = 16_384


class BadForm(InarvlError, ValueError):
    """An invalid form; the message says which field is wrong and what to send."""

    code = "bad_field"


@dataclass(frozen=True)
class AnswerForm:
    """The form of an answer.

    Attributes:
        kind: `auto` means that the form follows from the question: see `infer`.
        choices: the only answers allowed, for kind `choice`.
        schema: the JSON schema (draft 2020-12) of the answer, for kind `json`; None allows any JSON.
    """

    kind: Kind = "auto"
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = field(default=None, hash=False)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> AnswerForm:
        """Reads the fields `answer`, `choices` and `schema` of a query; other fields are ignored.

        In JSON `choices` is a list and `schema` an object. In an MQTT user property both are text: `choices`
        is a JSON list or its parts between bars or commas.

        Raises:
            BadForm: a field is invalid.

        >>> AnswerForm.from_fields({"answer": "yes_no"}).kind
        'yes_no'
        >>> AnswerForm.from_fields({"answer": "choice", "choices": "red | dark, blue"}).choices
        ('red', 'dark, blue')
        """
        choices, schema = _choices(fields.get("choices")), _schema(fields.get("schema"))
        kind = fields.get("answer")
        if kind is None:
            kind = "choice" if choices else "auto" if schema is None else "json"
        if not isinstance(kind, str) or kind not in KINDS:
            raise BadForm(f"unknown answer {quoted(kind)}: use one of {', '.join(KINDS)}")
        if (kind == "choice") != bool(choices):
            raise BadForm("answer choice and the field choices belong together: send both or neither")
        if schema is not None and kind != "json":
            raise BadForm(f"schema is only for answer json, not {kind}: remove one of them")
        return cls(cast(Kind, kind), choices, schema)

    def to_fields(self) -> dict[str, Any]:
        """Returns the fields of a JSON query; none for `auto`.

        >>> AnswerForm("choice", ("red", "blue")).to_fields()
        {'answer': 'choice', 'choices': ['red', 'blue']}
        """
        if self.kind == "auto":
            return {}
        fields: dict[str, Any] = {"answer": self.kind}
        if self.choices:
            fields["choices"] = list(self.choices)
        if self.schema is not None:
            fields["schema"] = dict(self.schema)
        return fields


def _choices(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = _listed(value)
    if not isinstance(value, (list, tuple)) or not all(isinstance(choice, str) for choice in value):
        raise BadForm("choices must be a list of strings")
    choices = tuple(choice.strip() for choice in value)
    if not 2 <= len(choices) <= MAX_CHOICES:
        raise BadForm(f"choices must have 2 to {MAX_CHOICES} entries, not {len(choices)}")
    if not all(0 < len(choice) <= MAX_CHOICE_LENGTH for choice in choices):
        raise BadForm(f"each of choices must have 1 to {MAX_CHOICE_LENGTH} characters")
    if len({choice.casefold() for choice in choices}) < len(choices):
        raise BadForm("two of choices are equal: remove one")
    return choices


def _listed(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadForm(f"choices is not a valid JSON list: {error}") from None
    return [part for part in text.split("|" if "|" in text else ",") if part.strip()]


def _schema(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str):
        if len(value) > MAX_SCHEMA_LENGTH:
            raise BadForm(f"schema has more than {MAX_SCHEMA_LENGTH} characters: shorten it")
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadForm(f"schema is not valid JSON: {error}") from None
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BadForm("schema must be a JSON object")
    try:
        length = len(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadForm(f"schema cannot be written as JSON: {error}") from None
    if length > MAX_SCHEMA_LENGTH:
        raise BadForm(f"schema has more than {MAX_SCHEMA_LENGTH} characters: shorten it")
    if (problem := schema_problem(value)) is not None:
        raise BadForm(f"schema {problem}")
    return value
