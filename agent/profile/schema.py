"""The JSON Schema of hardware profiles, for editors."""

from __future__ import annotations

import json
from typing import Any

from agent.profile.profile import Profile

FILE = "profile.schema.json"


def schema() -> dict[str, Any]:
    """Returns the schema of profile files; a file that extends another needs only its name."""
    described = Profile.model_json_schema()
    for section in described["$defs"].values():
        if section["title"] != "ModelPrior":
            section.pop("required", None)
    described["required"] = ["name"]
    described["anyOf"] = [{"required": ["extends"]}, {"required": ["power"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def schema_text() -> str:
    """Returns the content of the schema file that is shipped with the bundled profiles."""
    return json.dumps(schema(), indent=2) + "\n"
