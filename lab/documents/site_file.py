"""docs/site-file.md: every key of the site file, from the models that read it."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from agent.config.peer_settings import WORDS
from agent.config.settings import Settings
from agent.config.yaml_file import Section
from agent.daemon.reload import LIVE, LIVE_PARTS
from lab.documents.schema_rows import table

HEAD = """# The site file

`/etc/inarvl/agent.yaml` has what is particular to a site: the device's name, the broker, the peers, the
limits. Every key is optional unless it is marked as required. `inarvl validate FILE` checks a file, and
names the place of each error. Start from the [example with comments](agent.example.yaml).

`[]` is an entry of a list, `NAME` a name of yours. A file of a secret is an absolute path, or
`credential:NAME` of the systemd unit ([deploy](deploy.md#configure)).

These keys apply after `systemctl reload inarvl-agent`, the others after a restart:
{live}

Written by `python -m lab.documents`.

"""
# Types of YAML that are read as a section; for hours they are the only ones.
TEXTS: dict[str, dict[str, Any]] = {
    "DiscoveryTrust": {"enum": [*WORDS]},
    "MetricsSettings": {"type": "string"},
    "HttpSettings": {"type": "string"},
    "CameraSource": {"type": "string"},
    "Hours": {"type": "string"},
}
IS_VALUE = re.compile(r"\w+:\S")  # such as host:port, whose case matters
ENTRY = re.compile(r"^    (\w+(?:, \w+)*): ((?:.|\n     +)*)", re.M)


def page() -> str:
    """Returns the page."""
    parts = [f"{part}.{name}" for part, names in LIVE_PARTS.items() for name in names]
    live = textwrap.fill(", ".join(f"`{key}`" for key in sorted([*LIVE, *parts])), 128)
    return HEAD.format(live=live) + table(described_schema())


def described_schema() -> dict[str, Any]:
    """Returns the JSON schema of the site file, in which each key has its meaning."""
    schema = Settings.model_json_schema()
    for section in _sections(Section):
        described = schema if section is Settings else schema["$defs"].get(section.__name__)
        if described is not None:
            for field, meaning in meanings(section.__doc__ or "").items():
                name = section.model_fields[field].alias or field if field in section.model_fields else field
                if name in described["properties"]:
                    described["properties"][name]["description"] = meaning
    del schema["$defs"]["DiscoveryTrust"]["properties"]["mode"]  # written as a word in place of the section
    del schema["properties"]["discovery"]["default"]["trust"]
    schema["$defs"]["Discovery"]["properties"]["trust"]["default"] = "none"
    return dict(_as_written(schema))


def _as_written(schema: Any) -> Any:
    """Returns a schema in which the sections that may also be written as a text have both types."""
    if isinstance(schema, list):
        return [_as_written(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: _as_written(part) for name, part in schema.items()}
    text = TEXTS.get(str(parts.get("$ref", "")).rpartition("/")[2])
    if text is None:
        return parts
    section = {"$ref": parts.pop("$ref")}
    return (
        {**parts, "anyOf": [text]}
        if section["$ref"].endswith("Hours")
        else {**parts, "anyOf": [text, section]}
    )


def meanings(docstring: str) -> dict[str, str]:
    """Returns the entries under `Attributes:` of a docstring, each as a sentence.

    >>> meanings("A page.\\n\\n    Attributes:\\n        one, other: what they\\n            mean.\\n    ")
    {'one': 'What they mean.', 'other': 'What they mean.'}
    """
    _, _, attributes = re.sub(r"^    ", "", docstring, flags=re.M).partition("Attributes:\n")
    found = {}
    for names, text in ENTRY.findall(attributes):
        words = re.sub(r"\bNone\b", "null", " ".join(text.split()))
        for name in names.split(", "):
            found[name] = words if IS_VALUE.match(words) else words[0].upper() + words[1:]
    return found


def _sections(kind: type[Section]) -> list[type[Section]]:
    return [found for below in kind.__subclasses__() for found in (below, *_sections(below))]
