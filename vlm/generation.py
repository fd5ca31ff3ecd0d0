"""Answers while they are being generated: text, end and log-probabilities, token by token.

`transformers` calls this code from inside `generate`: a logits processor before each token, and a stopping
criterion after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vlm.choice_decoding import ChoiceDecoding


@dataclass(frozen=True)
class TokenScore:
    """A generated token.

    Attributes:
        text: the token as text.
        logprob: its log-probability in nats.
        alternatives: the most probable tokens at its place, each with its log-probability, best first.
    """

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]


class Generation:
    """One answer that is being generated. Call `score` before each token and `advance` after it.

    Log-probabilities are computed before temperature and nucleus sampling: they are the model's own. Only a
    few numbers of each token are stored, not the whole vocabulary.

    Args:
        tokenizer: the model's tokenizer.
        end_tokens: ids of the tokens that end an answer; they are not part of it.
        stop: texts that end an answer; a stop text and everything after it are not part of the answer.
        max_tokens: most tokens of the answer.
        top_logprobs: how many alternatives per token to store; None stores no scores.
        on_token: called for every token. If it raises, this answer ends and the exception becomes `failure`.
        on_text: called with each new piece of text, once no stop text can remove it any more.
        choices: restricts the answer to choices; None allows any.

    Attributes:
        text: the answer so far.
        tokens: number of tokens so far, the end token included.
        finished: whether an end token or a stop text has ended the answer.
        failure: what `on_token` raised, else None.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        end_tokens: frozenset[int],
        stop: tuple[str, ...],
        max_tokens: int,
        top_logprobs: int | None,
        on_token: Callable[[], None],
        on_text: Callable[[str], None] | None = None,
        choices: ChoiceDecoding | None = None,
    ) -> None:
        self.text = ""
        self.tokens = 0
        self.finished = False
        self.failure: Exception | None = None
        self._tokenizer = tokenizer
        self._end_tokens = end_tokens
        self._stop = stop
        self._max_tokens = max_tokens
        self._top_logprobs = top_logprobs
        self._on_token = on_token
        self._on_text = on_text
        self._choices = choices
        self._ids: list[int] = []
        self._scores: list[tuple[int, TokenScore]] = []
        self._logprobs: Any = None
        self._sent = 0

    @property
    def ended(self) -> bool:
        """Whether generation has ended: finished, failed, or at `max_tokens`."""
        return self.finished or self.failure is not None or self.tokens >= self._max_tokens

    @property
    def scores(self) -> list[TokenScore]:
        """Scores of the tokens that begin before the end of `text`."""
        return [score for start, score in self._scores if start < len(self.text)]

    @property
    def restricted(self) -> bool:
        """Whether the answer is restricted to choices."""
        return self._choices is not None

    def score(self, logits: Any) -> Any:
        """Stores the distribution of the next token. Returns the logits to select it from.

        Args:
            logits: tensor of shape (vocabulary,).
        """
        if self.ended:
            return logits
        if self._top_logprobs is not None:
            self._logprobs = logits.float().log_softmax(-1)
        return logits if self._choices is None else self._choices.mask(logits)

    def advance(self, token: int) -> bool:
        """Adds the newest token. Returns True once the answer has ended."""
        if self.ended:
            return True
        try:
            self._on_token()
        except Exception as error:  # concerns this answer only, not the others in its batch
            self.failure = error
            return True
        self.tokens += 1
        self.finished = token in self._end_tokens
        if not self.finished:
            self._append(token)
        if self._choices is not None:
            self.finished = self._choices.advance(token)
        self._send()
        return self.ended

    def flush(self) -> None:
        """Sends the rest of the text to `on_text`; call it after the last token."""
        self._send(last=True)

    def _append(self, token: int) -> None:
        start = len(self.text)
        self._ids.append(token)
        self.text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        if self._logprobs is not None:
            self._scores.append((start, self._score_of(token)))
        # The text before `start` has no stop text; decoding a token may change the last character before it.
        found = (self.text.find(stop, max(0, start - len(stop) - 1)) for stop in self._stop)
        stops = [index for index in found if index >= 0]
        if stops:
            self.text = self.text[: min(stops)]
            self.finished = True

    def _score_of(self, token: int) -> TokenScore:
        decode = self._tokenizer.decode
        best = self._logprobs.topk(self._top_logprobs)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        alternatives = tuple((decode([other]), logprob) for other, logprob in pairs)
        return TokenScore(decode([token]), float(self._logprobs[token]), alternatives)

    def _send(self, last: bool = False) -> None:
        final = len(self.text) if last or self.finished else len(self.text) - self._pending()
        if self._on_text and final > self._sent:
            self._on_text(self.text[self._sent : final])
            self._sent = final

    def _pending(self) -> int:
        """How many characters at the end may still change: incomplete ones, or the start of a stop text."""
        incomplete = len(self.text) - len(self.text.rstrip("\N{REPLACEMENT CHARACTER}"))
        if incomplete:
            return incomplete
        matches = (
            size for stop in self._stop for size in range(1, len(stop)) if self.text.endswith(stop[:size])
        )
        return max(matches, default=0)


class GenerationBatch:
    """All answers of one call of `generate`: its logits processor and its stopping criterion."""

    def __init__(self, generations: Sequence[Generation]) -> None:
        self._generations = generations

    def score(self, _input_ids: Any, logits: Any) -> Any:
        """A logits processor; changes restricted answers only.

        Args:
            logits: tensor of shape (answers, vocabulary).
        """
        restricted = any(generation.restricted for generation in self._generations)
        result = logits.clone() if restricted else logits
        for index, generation in enumerate(self._generations):
            row = generation.score(logits[index])
            if generation.restricted:
                result[index] = row
        return result

    def advance(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        """A stopping criterion: returns which answers have ended, shape (answers,)."""
        newest = input_ids[:, -1].tolist()
        ended = [
            generation.advance(token) for generation, token in zip(self._generations, newest, strict=True)
        ]
        return input_ids.new_tensor(ended).bool()
