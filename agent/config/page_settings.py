"""The section `http.page` of the site file: the page that shows what the agent does."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agent.config.yaml_file import Section

ClientName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class PageSettings(Section):
    """What the page shows, and to whom.

    Attributes:
        pictures: whether it shows small pictures of the images that were asked about.
        operators: names beside the tokens that open it. Without `token_file`, every caller may.
    """

    pictures: bool = False
    operators: tuple[ClientName, ...] = Field(("operator",), min_length=1)
