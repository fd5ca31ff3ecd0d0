"""Questions about a scene, with their correct answers.

Answers are balanced within each type as far as a scene allows, so that a constant answer is rarely correct.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lab.scenes.scene import COLOURS, SHAPES, TEXTURES, Scene, Thing


@dataclass(frozen=True)
class Question:
    """A question with its correct answer and its type, which is one of TYPES."""

    text: str
    answer: str
    type: str


def ask(scene: Scene, rng: np.random.Generator, n: int, types: Sequence[str] | None = None) -> list[Question]:
    """Returns `n` questions about `scene`; fewer only if no type of question fits it any more.

    Their types are drawn with equal probability from those that fit the scene; a type that is given twice is
    drawn twice as often.
    """
    found: list[Question] = []
    names = list(types or TYPES)
    while len(found) < n and names:
        name = names[int(rng.integers(len(names)))]
        question = MAKERS[name](scene, rng)
        if question is None:
            names.remove(name)
            continue
        found.append(Question(*question, name))
    return found


TextAndAnswer = tuple[str, str]


def _choose(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _unique(things: Sequence[Thing], key: Callable[[Thing], str]) -> list[Thing]:
    """Returns the things whose `key` no other thing has."""
    keys = [key(thing) for thing in things]
    return [thing for thing in things if keys.count(key(thing)) == 1]


def _choose_thing(rng: np.random.Generator, things: Sequence[Thing]) -> Thing:
    return things[int(rng.integers(len(things)))]


def _yes_or_no(truth: bool) -> str:
    return "yes" if truth else "no"


def _existence(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    present = {thing.name for thing in scene.things}
    name = _choose(rng, sorted(present)) if rng.random() < 0.5 else _absent(scene, rng)
    if name is None:
        return None
    article = "an" if name[0] in "aeiou" else "a"
    forms = (f"is there {article} {name}?", f"do you see {article} {name}?", f"can {article} {name} be seen?")
    return _choose(rng, forms), _yes_or_no(name in present)


def _absent(scene: Scene, rng: np.random.Generator) -> str | None:
    """Returns a name that is not in the scene.

    Its colour is absent, or its shape is, or both are present but not in one thing.
    """
    present = {thing.name for thing in scene.things}
    colours, shapes = {t.colour for t in scene.things}, {t.shape for t in scene.things}
    candidates = (
        ([c for c in COLOURS if c not in colours], sorted(shapes)),
        (sorted(colours), [s for s in SHAPES if s not in shapes]),
        (sorted(colours), sorted(shapes)),
    )[int(rng.integers(3))]
    names = [f"{c} {s}" for c in candidates[0] for s in candidates[1] if f"{c} {s}" not in present]
    return _choose(rng, names) if names else None


def _by_name(scene: Scene, rng: np.random.Generator) -> dict[str, Thing]:
    """Returns things by a unique name: sometimes the shape alone, otherwise colour and shape."""
    by_shape = {thing.shape: thing for thing in _unique(scene.things, lambda t: t.shape)}
    by_both = {thing.name: thing for thing in _unique(scene.things, lambda t: t.name)}
    return by_shape if len(by_shape) > 1 and rng.random() < 0.5 else by_both


def _colour(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    unique = _unique(scene.things, lambda t: t.shape)
    if not unique:
        return None
    thing = _choose_thing(rng, unique)
    forms = (f"what colour is the {thing.shape}?", f"which colour has the {thing.shape}?")
    return _choose(rng, forms), thing.colour


def _shape(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    unique = _unique(scene.things, lambda t: t.colour)
    if not unique:
        return None
    thing = _choose_thing(rng, unique)
    forms = (f"what shape is the {thing.colour} thing?", f"what is the {thing.colour} thing?")
    return _choose(rng, forms), thing.shape


def _texture(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    named = _by_name(scene, rng)
    if not named:
        return None
    texture = _choose(rng, TEXTURES)
    name = _choose(rng, [name for name, t in named.items() if t.texture == texture] or list(named))
    forms = (f"is the {name} plain, striped or dotted?", f"what pattern has the {name}?")
    return _choose(rng, forms), named[name].texture


def _plural(shape: str) -> str:
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _kinds(scene: Scene) -> dict[str, int]:
    """Returns the number of things of each kind, such as "circles" or "red things"."""
    counts: dict[str, int] = {}
    for thing in scene.things:
        for kind in (_plural(thing.shape), f"{thing.colour} things"):
            counts[kind] = counts.get(kind, 0) + 1
    return counts


def _counting(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    counts = _kinds(scene)
    by_number: dict[int, list[str]] = {}
    for kind, number in counts.items():
        by_number.setdefault(number, []).append(kind)
    if rng.random() < 0.12:
        by_number[0] = [kind for kind in map(_plural, SHAPES) if kind not in counts]
    by_number = {number: kinds for number, kinds in by_number.items() if kinds}
    numbers = sorted(by_number)
    number = numbers[int(rng.integers(len(numbers)))]
    kind = _choose(rng, by_number[number])
    forms = (f"how many {kind} are there?", f"count the {kind}.", f"what is the number of {kind}?")
    return _choose(rng, forms), str(number)


def _comparison(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    if rng.random() < 0.4:
        named = _by_name(scene, rng)
        large = [name for name, thing in named.items() if thing.large]
        small = [name for name, thing in named.items() if not thing.large]
        if large and small:
            pair = [_choose(rng, large), _choose(rng, small)]
            truth = rng.random() < 0.5
            one, other = pair if truth else reversed(pair)
            return f"is the {one} larger than the {other}?", _yes_or_no(truth)
    counts = _kinds(scene)
    for group in ("s", " things"):
        kinds = [k for k in counts if k.endswith(" things") == (group == " things")]
        pairs = [(a, b) for a in kinds for b in kinds if counts[a] > counts[b]]
        if pairs and (group == " things" or rng.random() < 0.5):
            many, few = pairs[int(rng.integers(len(pairs)))]
            truth = rng.random() < 0.5
            first, second = (many, few) if truth else (few, many)
            return f"are there more {first} than {second}?", _yes_or_no(truth)
    return None


RELATIONS: dict[str, Callable[[Thing, Thing], bool]] = {
    "left of": lambda a, b: a.column < b.column,
    "right of": lambda a, b: a.column > b.column,
    "above": lambda a, b: a.row < b.row,
    "below": lambda a, b: a.row > b.row,
}


def _spatial(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    named = _by_name(scene, rng)
    relation = _choose(rng, tuple(RELATIONS))
    related = RELATIONS[relation]
    pairs = [(a, b) for a in named for b in named if related(named[a], named[b])]
    if not pairs:
        return None
    first, second = pairs[int(rng.integers(len(pairs)))]
    truth = rng.random() < 0.5
    if not truth:
        first, second = second, first
    return f"is the {first} {relation} the {second}?", _yes_or_no(truth)


def _reading(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    if scene.plate is None:
        return None
    kind = "number" if scene.plate.text.isdigit() else "word"
    forms = (
        f"what {kind} is printed?",
        f"read the {kind} on the plate.",
        f"which {kind} is written here?",
    )
    return _choose(rng, forms), scene.plate.text


def _gauge(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    if scene.gauge is None:
        return None
    forms = ("what does the gauge show?", "read the gauge.", "which value is the needle at?")
    return _choose(rng, forms), str(scene.gauge.value)


def _sign(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    if scene.sign is None:
        return None
    return _choose(rng, ("which sign is it?", "what does the sign say?")), scene.sign.kind


STEPS = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}


def _two_hop(scene: Scene, rng: np.random.Generator) -> TextAndAnswer | None:
    cells = {(thing.row, thing.column): thing for thing in scene.things}
    found = []
    for anchor in _unique(scene.things, lambda t: t.name):
        for relation, (down, along) in STEPS.items():
            other = cells.get((anchor.row + down, anchor.column + along))
            if other is not None:
                found.append((relation, anchor, other))
    if not found:
        return None
    relation, anchor, other = found[int(rng.integers(len(found)))]
    if rng.random() < 0.5:
        return f"what colour is the thing just {relation} the {anchor.name}?", other.colour
    return f"what shape is the thing just {relation} the {anchor.name}?", other.shape


MAKERS: dict[str, Callable[[Scene, np.random.Generator], TextAndAnswer | None]] = {
    "existence": _existence,
    "colour": _colour,
    "shape": _shape,
    "texture": _texture,
    "counting": _counting,
    "comparison": _comparison,
    "spatial": _spatial,
    "reading": _reading,
    "gauge": _gauge,
    "sign": _sign,
    "two_hop": _two_hop,
}
TYPES = tuple(MAKERS)
