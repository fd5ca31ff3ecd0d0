"""docs/profile-fields.md: every field of a profile, from its schema."""

from __future__ import annotations

from agent.profile.schema import schema
from lab.documents.schema_rows import table

HEAD = """# Fields of a profile

A profile describes a board: its power, its limits, its models ([how to measure and write one](profiles.md)).
A profile that extends another needs only its `name`; a field without a default must then be in the one that
is extended. `[]` is an entry of a list, `NAME` a name of yours.

`inarvl profile check FILE` checks a file. `inarvl profile schema` prints the
[schema](../profiles/profile.schema.json), for editors.

Written by `python -m lab.documents`.

"""


def page() -> str:
    """Returns the page."""
    return HEAD + table(schema())
