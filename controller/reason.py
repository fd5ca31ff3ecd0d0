"""Decisions in short words that a user understands."""

from __future__ import annotations

from controller.arm import Arm
from controller.beliefs import Vector
from controller.candidates import Candidates
from controller.confidence import Judgement


def why_placed(chosen: int, candidates: Candidates, score: Vector, escalated: float, *, tried: bool) -> str:
    """Why the arm at a place is asked first; `tried` when the route rule found another."""
    roster, guesses = candidates.roster, candidates.guesses
    here, there = _places(roster.arms[chosen])
    if tried:
        return f"{here}: tried to keep knowing it"
    others = [place for place, arm in enumerate(roster.arms) if arm.tier != roster.arms[chosen].tier]
    rivals = [place for place in others if candidates.blocked[place] is None]
    if not others:
        return f"{here}: the {there} is not there"
    if not rivals:
        return f"{here}: {candidates.blocked[others[0]]}"
    rival = min(rivals, key=lambda place: float(score[place]))
    latency_ms = candidates.estimates.latency_ms
    saved_ms = float(latency_ms[rival] - latency_ms[chosen])
    speed = f"{abs(saved_ms):.0f} ms {'faster' if saved_ms > 0 else 'slower'}"
    if here == "cloud":
        if saved_ms > 0:
            return f"cloud: {speed}"
        if candidates.cost[chosen] < candidates.cost[rival]:
            return f"cloud: it costs less, though it is {speed}"
        return f"cloud: the board would likely be wrong ({guesses.differ[rival]:.0%} risk)"
    if guesses.ignorance[chosen] > 0.5:
        return "board: to learn how good it is"
    if escalated > 0.5:
        return f"board: {speed}, and it may be sure of its answer"
    return f"board: likely right ({guesses.differ[chosen]:.0%} risk) and {speed}"


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
