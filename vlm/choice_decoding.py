"""Answers that are one of the given choices: at each step only tokens that continue a choice are allowed.

1. A choice is a path of tokens. It has a second path, with a space in front, if the vocabulary merges that
   space into the first token, because many models begin an answer with such a token.
2. If a choice is the beginning of another one, an end token ends it.
3. The probability of an allowed token is its softmax over the allowed tokens. The probability of a path is
   the product along the path, that of a choice is the sum over its paths, so that all choices add up to 1.
4. Decoding follows one path and passes branches, whose probability is known as a whole. A branch with several
   choices is decoded separately, the most probable one first, at most MAX_PASSES times. The probability of a
   branch that remains, or is less probable than MIN_PROBABILITY, is divided equally among its choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vlm.errors import InvalidRequest

MAX_PASSES = 8
MIN_PROBABILITY = 1e-3


@dataclass(frozen=True)
class Path:
    """The tokens of a choice."""

    choice: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Branch:
    """Paths that begin with the same tokens, and the probability of all of them together."""

    paths: tuple[Path, ...]
    probability: float


@dataclass(frozen=True)
class _Option:
    """What may follow: one of `tokens`, which leads to `paths`."""

    tokens: tuple[int, ...]
    paths: tuple[Path, ...]
    ends: bool


class ChoiceDecoding:
    """The state of one answer: the paths that are still possible.

    Call `mask` before each token and `advance` after it.

    Args:
        paths: see `paths_of`.
        end_tokens: ids of the tokens that end an answer.

    Attributes:
        branches: the branches that were passed, and at the end the path that was followed.
        choice: the answer, None before the end.
    """

    def __init__(self, paths: Sequence[Path], end_tokens: Iterable[int]) -> None:
        self.branches: list[Branch] = []
        self.choice: str | None = None
        self._end_tokens = tuple(sorted(end_tokens))
        self._current = Branch(tuple(paths), 1.0)
        self._depth = 0
        self._options: list[tuple[_Option, float]] = []

    def mask(self, logits: Any) -> Any:
        """Returns the logits with those of all other tokens at minus infinity; shape (vocabulary,)."""
        options = self._next_options()
        tokens = [token for option in options for token in option.tokens]
        allowed = logits[tokens].float()
        shares = allowed.softmax(-1).tolist()
        if not all(map(math.isfinite, shares)):  # the model excludes all of them
            allowed = allowed.new_zeros(len(tokens))
            shares = [1 / len(tokens)] * len(tokens)
        share_of = dict(zip(tokens, shares, strict=True))
        self._options = [(option, sum(map(share_of.__getitem__, option.tokens))) for option in options]
        masked = logits.new_full(logits.shape, -math.inf)
        masked[tokens] = allowed.to(logits.dtype)
        return masked

    def advance(self, token: int) -> bool:
        """Adds the newest token. Returns True once the answer is complete."""
        for option, share in self._options:
            branch = Branch(option.paths, self._current.probability * share)
            if token in option.tokens:
                followed, ends = branch, option.ends
            else:
                self.branches.append(branch)
        self._current = followed
        self._depth += 1
        only = followed.paths[0]
        if ends or (len(followed.paths) == 1 and self._depth == len(only.tokens)):
            self.choice = only.choice
            self.branches.append(followed)
        return self.choice is not None

    def _next_options(self) -> list[_Option]:
        continued: dict[int, list[Path]] = {}
        options = []
        for path in self._current.paths:
            if len(path.tokens) == self._depth:
                options.append(_Option(self._end_tokens, (path,), ends=True))
            else:
                continued.setdefault(path.tokens[self._depth], []).append(path)
        return options + [_Option((token,), tuple(paths), ends=False) for token, paths in continued.items()]


def paths_of(
    tokenizer: Any, choices: Sequence[str], end_tokens: frozenset[int], max_tokens: int
) -> tuple[Path, ...]:
    """Returns the paths of all choices.

    Args:
        max_tokens: most tokens of an answer.

    Raises:
        InvalidRequest: a choice is too long, or the vocabulary does not distinguish two of them.
    """
    paths: dict[tuple[int, ...], Path] = {}
    for choice in choices:
        plain, spaced = (
            tuple(tokenizer.encode(text, add_special_tokens=False)) for text in (choice, f" {choice}")
        )
        for tokens in {plain, spaced} if len(spaced) <= len(plain) else {plain}:
            if paths.setdefault(tokens, Path(choice, tokens)).choice != choice or not tokens:
                raise InvalidRequest(
                    f"this model does not distinguish the choice {choice!r} from another one; rename it",
                    "invalid_choices",
                )
    prefixes = {tokens[:size] for tokens in paths for size in range(1, len(tokens))} & paths.keys()
    if prefixes and not end_tokens:
        choice = paths[next(iter(prefixes))].choice
        raise InvalidRequest(f"the choice {choice!r} is the beginning of another one", "invalid_choices")
    for tokens, path in paths.items():
        needed = len(tokens) + (tokens in prefixes)
        if needed > max_tokens:
            raise InvalidRequest(
                f"the choice {path.choice!r} has {needed} tokens, more than max_tokens ({max_tokens}); "
                "raise it or use shorter choices",
                "invalid_choices",
            )
    return tuple(paths.values())


def choice_probabilities(
    choices: Sequence[str],
    branches: Sequence[Branch],
    decode: Callable[[tuple[Path, ...]], Sequence[Branch]],
) -> dict[str, float]:
    """Returns the probability of each choice.

    Args:
        branches: of a finished decoding.
        decode: decodes among the given paths only and returns the branches.
    """
    probabilities = dict.fromkeys(choices, 0.0)
    waiting = list(branches)
    passes = 0
    while waiting:
        branch = max(waiting, key=lambda waiting: waiting.probability)
        waiting.remove(branch)
        names = dict.fromkeys(path.choice for path in branch.paths)
        if len(names) > 1 and passes < MAX_PASSES and branch.probability >= MIN_PROBABILITY:
            passes += 1
            parts = decode(branch.paths)
            waiting += [Branch(part.paths, part.probability * branch.probability) for part in parts]
        else:
            for name in names:
                probabilities[name] += branch.probability / len(names)
    return probabilities
