"""A section of a profile whose fields have docstrings, which editors show."""

from __future__ import annotations

from pydantic import ConfigDict

from agent.config.yaml_file import Section


class Described(Section):
    """A section whose fields have docstrings."""

    model_config = ConfigDict(use_attribute_docstrings=True)
