"""The pages and pictures of docs/ that are made by code."""

from __future__ import annotations

from pathlib import Path

from lab.documents import pictures, profile_fields, site_file, topics

ROOT = Path(__file__).parents[2]


def pages() -> dict[str, str]:
    """Returns the content of each page, by its path in the repository."""
    return {
        "docs/topics.md": topics.page(),
        "docs/site-file.md": site_file.page(),
        "docs/profile-fields.md": profile_fields.page(),
        "docs/pictures/journey.svg": pictures.journey(),
        "docs/pictures/decision.svg": pictures.decision(),
        "docs/pictures/failures.svg": pictures.failures(),
        "docs/pictures/privacy.svg": pictures.privacy(),
    }
