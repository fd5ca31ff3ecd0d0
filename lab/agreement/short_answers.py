"""Pairs of short answers, one function for each task: the same truth, or a near one."""

from __future__ import annotations

import random
from typing import Final

from agent.forms.form import AnswerForm
from lab.agreement import vocabulary as words
from lab.agreement.pairs import Pair
from lab.agreement.phrasing import capital, fillers, marked, number, sentence, slots

P_LEFT_OPEN: Final = 0.1
P_UNLISTED: Final = 0.2


def yes_no(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question for a fact that is or is not; some leave it open."""
    question, yes, no = rng.choice(words.PREDICATES)
    place = slots(rng)
    truth = rng.random() < 0.5
    shared = fillers(rng, 2)

    leaves_open = rng.random() < P_LEFT_OPEN

    def undecided() -> str:
        return sentence(rng, rng.choice(words.LEFT_OPEN).format(yes.format(**place)), shared)

    def answer(sense: bool) -> str:
        statement = (yes if sense else no).format(**place)
        word = "yes" if sense else "no"
        style = rng.randrange(5)
        if style == 0:
            return rng.choice((word, capital(word), capital(word) + "."))
        if style == 1:
            return f"{capital(word)}, {statement}."
        if style == 2:
            opening = " ".join(fillers(rng, 2))
            return f"{opening} {rng.choice(('Therefore', 'So', 'Thus'))}, {statement}.".strip()
        return (
            f"{capital(word)}, " + sentence(rng, statement, shared)
            if style == 3
            else sentence(rng, statement, shared)
        )

    one, other = answer(truth), answer(truth == same)
    if leaves_open:
        one, other = undecided(), undecided() if same else other
    return Pair(question.format(**place), one, other, same)


def choice(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question with four choices, with letters in most cases.

    Some answers name none of the choices.
    """
    truths = rng.sample(rng.choice(list(words.LABELS.values())), 6)
    choices = tuple(wordings[0] for wordings in truths[:4])
    listed = rng.random() < 0.7
    letters = "ABCD"
    question = "Which of these is in the picture?"
    if listed:
        question += " Select one: " + " ".join(f"({x}) {c}" for x, c in zip(letters, choices, strict=True))

    def answer(place: int) -> str:
        if place >= len(choices):
            unlisted = rng.choice(truths[place])
            return rng.choice((unlisted, sentence(rng, f"the picture shows the {unlisted}", [])))
        letter, choice = letters[place], choices[place]
        styles = [choice, capital(choice) + ".", sentence(rng, f"the picture shows the {choice}", [])]
        if listed:
            others = " ".join(fillers(rng, 3))
            styles += [
                letter,
                f"({letter})",
                f"({letter}) {choice}",
                f"{letter}. {choice}",
                f"The correct answer is ({letter}) {choice}.",
                f"{others} Therefore, the answer is ({letter}).",
                f"{others} So the correct option is {letter}.",
            ]
        return rng.choice(styles)

    one, other = rng.sample(range(6 if rng.random() < P_UNLISTED else 4), 2)
    return Pair(
        question, answer(one), answer(one if same else other), same, form=AnswerForm("choice", choices)
    )


def count(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question for the number of things; wrong counts are near."""
    place = slots(rng)
    thing, extra = f"{place['o']}s", f"{place['q']}s"
    one = rng.choice((0, 1, *range(2, 13), rng.randint(13, 60)))
    other = one if same else max(0, one + rng.choice((-2, -1, 1, 1, 2, 3)))
    if other == one and not same:
        other = one + 1
    shared = fillers(rng, 2)

    def answer(count: int) -> str:
        if count == 0 and rng.random() < 0.7:
            return rng.choice(
                (
                    f"There are no {thing} {place['p']}.",
                    "None.",
                    f"I don't see any {thing}.",
                    f"No {thing} are visible.",
                )
            )
        wording = number(rng, count)
        statement = rng.choice(
            (
                f"there are {wording} {thing} {place['p']}",
                f"I can see {marked(rng, wording)} {thing}",
                f"the number of {thing} is {wording}",
                f"there are {wording} {thing} and {number(rng, rng.randint(2, 9))} {extra}",
                f"the {thing} {place['p']} are {wording} in total",
                f"there appear to be {wording} {place['a']} {thing}",
            )
        )
        return rng.choice(
            (
                wording,
                capital(wording) + ".",
                sentence(rng, statement, shared),
                sentence(rng, statement, shared),
            )
        )

    return Pair(f"How many {thing} are there {place['p']}?", answer(one), answer(other), same)


def measured(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question for a measured value, a year or a number that is visible."""
    question, about, units, low, high = rng.choice(words.MEASURES)
    place = slots(rng) | {"w": rng.choice(words.SIGN_WORDS)}
    one = float(rng.randint(low, high))
    if rng.random() < 0.3 and units[0][0] != "":
        one += rng.choice((0.25, 0.5, 0.75, 0.99))
    change = rng.choice((0.5, 0.8, 0.9, 1.1, 1.2, 1.5, 2.0)) if units[0][0] else 1.0
    other = one if same else round(one * change, 2)
    if other == one and not same:
        other = one + rng.choice((-9, -2, -1, 1, 2, 3, 10))
    shared = fillers(rng, 2)
    visible = ", ".join(
        f"{value:.6g}" for value in rng.sample([one, other, float(rng.randint(low, high))], 3)
    )

    def answer(value: float) -> str:
        unit, size = rng.choice(units)
        figure = f"{value / size:.6g}"
        wording = f"${figure}" if unit == "$" else f"{figure} {unit}".strip()
        wording = rng.choice((wording, wording, wording.replace(" ", "")))
        how = rng.choice(("", "", "about ", "approximately "))
        statement = f"{about.format(**place)} is {how}{marked(rng, wording)}"
        if rng.random() < 0.2:
            few = number(rng, rng.randint(2, 9))
            return f"Of {rng.randint(2, 9)} values, {few} can be read. So the answer is {wording}."
        text = rng.choice(
            (wording, figure, sentence(rng, statement, shared), sentence(rng, statement, shared))
        )
        return f"{text} The values {visible} can be seen." if rng.random() < 0.15 else text

    return Pair(question.format(**place), answer(one), answer(other), same)


def reading(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question for a text; a wrong text differs in all or one of its words."""
    kind = rng.choice(("sign", "brand", "code"))
    place = slots(rng)
    question, about = {
        "sign": (f"What does the sign {place['p']} say?", f"the sign {place['p']} says"),
        "brand": (f"What brand is the {place['o']}?", f"the brand of the {place['o']} is"),
        "code": (f"What is written on the {place['o']}?", f"the text on the {place['o']} reads"),
    }[kind]
    text = rng.sample(words.SIGN_WORDS, rng.randint(1, 4 if kind == "sign" else 2))
    if kind == "code":
        text = [*text[:1], f"{rng.choice('ABCDKLMX')}{rng.randint(10, 9999)}"]
    other = list(text)
    if not same:
        at = rng.randrange(len(text))
        style = rng.random()
        if style < 0.5:
            other = rng.sample([w for w in words.SIGN_WORDS if w not in text], len(text))
        elif style < 0.75:
            other[at] = _misread(rng, other[at])
        else:
            other[at] = rng.choice([w for w in words.SIGN_WORDS if w not in text])
    shared = fillers(rng, 2)

    def answer(parts: list[str]) -> str:
        wording = " ".join(parts)
        wording = rng.choice(
            (wording, wording.title(), wording.upper(), "-".join(parts) if len(parts) == 2 else wording)
        )
        if rng.random() < 0.35:
            return rng.choice((wording, wording + "."))
        statement = f"{about} {marked(rng, wording)}"
        if rng.random() < 0.25:
            statement = rng.choice(
                (
                    f"this is a {place['a']} {place['o']} by {wording}",
                    f'the words "{wording}" are visible',
                    f"it is from {wording}",
                )
            )
        return sentence(rng, statement, shared)

    return Pair(question, answer(text), answer(other), same)


def _misread(rng: random.Random, word: str) -> str:
    at = rng.randrange(len(word))
    letter = rng.choice("aeilnorst") if word[at].isalpha() else rng.choice("0123456789")
    changed = word[:at] + (letter if letter != word[at] else "x") + word[at + 1 :]
    return changed if rng.random() < 0.7 or len(word) < 4 else word[:at] + word[at + 1 :]


def label(rng: random.Random, same: bool) -> Pair:
    """Returns a pair of answers to a question for a place, a person, an address or a kind of thing."""
    place = slots(rng)
    first: list[str]
    second: list[str]
    style = rng.random()
    if style < 0.02:
        return linked(rng, same, "Which page is it?")
    if style < 0.2:
        town, sight, another = rng.choice(words.TOWNS), *rng.sample(words.SIGHTS, 2)
        elsewhere = rng.choice([t for t in words.TOWNS if t != town])
        question, about = "Where was this photo taken?", "this photo was taken "
        first = [f"at {sight} in {town}", f"in {town}, near {sight}", f"in {town}"]
        second = first if same else [f"at {another} in {elsewhere}", f"in {elsewhere}"]
        if not same and rng.random() < 0.3:
            first, second = first[:1], [f"at {another} in {town}"]
    elif style < 0.35:
        name, given = rng.sample(words.LAST_NAMES, 2), rng.sample(words.FIRST_NAMES, 2)
        question, about = f"Who is the person with the {place['o']}?", f"the person with the {place['o']} is "
        first = [f"{given[0]} {name[0]}", f"{given[0]} {name[0]}, an actor", name[0]]
        second = first if same else [f"{given[1]} {name[1]}", f"{given[0]} {name[1]}", f"a {place['a']} man"]
    else:
        kind = rng.choice(list(words.LABELS))
        right, wrong = rng.sample(words.LABELS[kind], 2)
        question = f"What {kind} is {rng.choice(('this', 'shown here', place['p']))}?"
        about = rng.choice((f"the {kind} is ", "this is a ", "it looks like a ", "the image shows a "))
        same_words = f"{place['a']} " if rng.random() < 0.3 else ""
        first = [same_words + wording for wording in right]
        second = first if same else [same_words + wording for wording in wrong]
    shared = fillers(rng, 2)

    def answer(wordings: list[str]) -> str:
        wording = rng.choice(wordings)
        brief = wording.removeprefix("at ").removeprefix("in ")
        return rng.choice(
            (brief, capital(brief) + ".", *[sentence(rng, about + marked(rng, wording), shared)] * 3)
        )

    return Pair(question, answer(first), answer(second), same)


def linked(rng: random.Random, same: bool, question: str) -> Pair:
    """Returns a pair of answers with an address or a code, which differs in one part unless `same`."""
    parts = [*rng.sample(words.SIGN_WORDS, 3), f"{rng.choice(words.SIGN_WORDS)[:3]}{rng.randint(10, 9999)}"]
    changed = list(parts)
    if not same:
        changed[rng.randrange(1, 4)] = f"{rng.choice(words.SIGN_WORDS)}{rng.randint(10, 99)}"
    short = rng.random() < 0.3
    shared = fillers(rng, 2)

    def answer(parts: list[str]) -> str:
        code = parts[3].upper() if short else "https://www.{}.org/{}/{}_{}.html".format(*parts)
        return " ".join([sentence(rng, f"it is {code}", shared), *fillers(rng, 2)])

    return Pair(question, answer(parts), answer(changed), same)
