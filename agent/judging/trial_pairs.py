"""Twenty pairs of answers on which a judge is tried: ten say the same, ten do not."""

from __future__ import annotations

from typing import Final, NamedTuple


class TrialPair(NamedTuple):
    """Two answers to one question, and whether they say the same."""

    question: str
    one: str
    other: str
    same: bool


TRIAL_PAIRS: Final = tuple(
    TrialPair(*fields)
    for fields in (
        ("Is the gate open?", "Yes, it is open.", "The gate has been left wide open.", True),
        ("Is the gate open?", "Yes, it is open.", "No, somebody has shut it.", False),
        ("How many cars are parked?", "Three cars.", "I can see 3 vehicles in the car park.", True),
        ("How many cars are parked?", "Three cars.", "I can see four vehicles in the car park.", False),
        ("What colour is the van?", "It is navy.", "The van is dark blue.", True),
        ("What colour is the van?", "It is navy.", "The van is dark green.", False),
        ("What is the person doing?", "Riding a bike.", "They are cycling along the road.", True),
        ("What is the person doing?", "Riding a bike.", "They are waiting at a bus stop.", False),
        ("What does the sign say?", "STOP", 'The red sign reads "Stop".', True),
        ("What does the sign say?", "STOP", 'The red sign reads "Shop".', False),
        ("Where is the dog?", "Under the table.", "It lies beneath the dining table.", True),
        ("Where is the dog?", "Under the table.", "It sits on top of the dining table.", False),
        (
            "What is the weather like?",
            "It is raining.",
            "Wet: people carry open umbrellas.",
            True,
        ),
        ("What is the weather like?", "It is raining.", "Dry and bright, with a clear blue sky.", False),
        ("Which animal is on the roof?", "A cat.", "A small kitten is sitting there.", True),
        ("Which animal is on the roof?", "A cat.", "A pigeon is sitting there.", False),
        ("Describe the room.", "An empty kitchen with a sink.", "A kitchen; nobody is in it.", True),
        ("Describe the room.", "An empty kitchen with a sink.", "A bedroom with two people asleep.", False),
        ("Why has the line stopped?", "A box is jammed.", "The belt is blocked by a stuck carton.", True),
        ("Why has the line stopped?", "A box is jammed.", "The power has been switched off.", False),
    )
)
