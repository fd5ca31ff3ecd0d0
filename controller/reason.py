"""Decisions in short words that a user understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.arm import Arm
from controller.candidates import Candidate
from controller.confidence import Judgement
from controller.decision import Prediction


def why_placed(
    chosen: Candidate,
    best: Candidate,
    candidates: Sequence[Candidate],
    predictions: Mapping[str, Prediction],
) -> str:
    """Why `chosen` is asked first; `best` is what the route rule found."""
    here, there = _places(chosen.arm)
    if chosen is not best:
        return f"{here}: tried to keep knowing it"
    others = [candidate for candidate in candidates if candidate.arm.tier != chosen.arm.tier]
    rivals = [candidate for candidate in others if candidate.blocked is None]
    if not others:
        return f"{here}: the {there} is not there"
    if not rivals:
        return f"{here}: {others[0].blocked}"
    rival = min(rivals, key=lambda candidate: predictions[candidate.arm.id].score)
    saved_ms = rival.estimate.latency_ms - chosen.estimate.latency_ms
    speed = f"{abs(saved_ms):.0f} ms {'faster' if saved_ms > 0 else 'slower'}"
    if here == "cloud":
        if saved_ms > 0:
            return f"cloud: {speed}"
        return f"cloud: the board would likely be wrong ({rival.guess.differ:.0%} risk)"
    if chosen.guess.ignorance > 0.5:
        return "board: to learn how good it is"
    if predictions[chosen.arm.id].escalation > 0.5:
        return f"board: {speed}, and it may be sure of its answer"
    return f"board: likely right ({chosen.guess.differ:.0%} risk) and {speed}"


def why_failed_over(arm: Arm, failed: Arm) -> str:
    """Why another arm is asked after one failed."""
    failed_place = _places(failed)[0]
    return f"{_places(arm)[0]}: {'another on the ' if arm.tier == failed.tier else ''}{failed_place} failed"


def why_kept(arm: Arm, judgement: Judgement, *, alone: bool, in_time: bool) -> str:
    """Why an answer is kept; `alone` when no cloud can be asked, not `in_time` when none would make it."""
    here = _places(arm)[0]
    if alone:
        return f"{here}: there is no other to ask"
    if not in_time:
        return f"{here}: no time is left to ask the cloud"
    return f"{here}: sure enough ({judgement.differ:.0%} risk)"


def why_escalated(judgement: Judgement) -> str:
    """Why the cloud is asked after the board has answered."""
    return f"cloud: the board was unsure ({judgement.differ:.0%} risk)"


def _places(arm: Arm) -> tuple[str, str]:
    """Where the arm is, and where it is not."""
    return ("board", "cloud") if arm.tier == "local" else ("cloud", "board")
