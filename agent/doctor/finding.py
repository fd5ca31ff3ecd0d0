"""What a check of the machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """A fact with its verdict; `remedy` says what to do unless it is ok."""

    verdict: Verdict
    fact: str
    remedy: str = ""


def ok(fact: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", fact)


def warning(fact: str, remedy: str) -> Finding:
    """The agent runs, but less well than it could."""
    return Finding("warning", fact, remedy)


def failed(fact: str, remedy: str) -> Finding:
    """The agent cannot run, or cannot answer."""
    return Finding("failed", fact, remedy)
