"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """A fact with its verdict; `remedy` says what to do unless the verdict is ok."""

    verdict: Verdict
    fact: str
    remedy: str = ""


def ok(fact: str) -> Finding:
    """Returns a finding that needs no action."""
    return Finding("ok", fact)


def warning(fact: str, remedy: str) -> Finding:
    """Returns a finding that limits the agent."""
    return Finding("warning", fact, remedy)


def failed(fact: str, remedy: str) -> Finding:
    """Returns a finding that stops the agent from running or answering."""
    return Finding("failed", fact, remedy)
