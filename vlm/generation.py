"""An answer as it is being generated, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TokenScore:
    """A generated token with its log-probability and the likeliest alternatives', in nats."""

    text: str
    logprob: float
    tops: tuple[tuple[str, float], ...]


class Transcript:
    """Follows one answer of a `generate`: `score` is told each distribution, `advance` each token.

    Scores are taken before temperature and nucleus sampling, so that they are the model's own. Of each token
    a few numbers are kept, not the whole vocabulary's.

    Args:
        tokenizer: of the model.
        ends: ids of the tokens that end an answer; they are no part of it.
        stop: texts that end an answer; neither they nor what follows is part of it.
        limit: most tokens of the answer.
        tops: how many alternatives to keep; None keeps no scores.
        on_token: called at every token; what it raises ends the answer and is kept as `failure`.
        on_text: called with each new piece of text that no stop can take back any more.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        ends: frozenset[int],
        stop: tuple[str, ...],
        limit: int,
        tops: int | None,
        on_token: Callable[[], None],
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self.text = ""
        self.tokens = 0
        self.finished = False
        self.failure: Exception | None = None
        self._tokenizer = tokenizer
        self._ends = ends
        self._stop = stop
        self._limit = limit
        self._tops = tops
        self._on_token = on_token
        self._on_text = on_text
        self._ids: list[int] = []
        self._scores: list[tuple[int, TokenScore]] = []
        self._row: Any = None
        self._told = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.finished or self.failure is not None or self.tokens >= self._limit

    @property
    def scores(self) -> list[TokenScore]:
        """Of every token that begins before the end of `text`."""
        return [score for start, score in self._scores if start < len(self.text)]

    def score(self, logits: Any) -> None:
        """Note the distribution that the next token will be drawn from, of shape (vocabulary,)."""
        if self._tops is not None and not self.ended:
            self._row = logits.float().log_softmax(-1)

    def advance(self, token: int) -> bool:
        """Take in the newest token; True once the answer has ended."""
        if self.ended:
            return True
        try:
            self._on_token()
        except Exception as error:  # of this answer only: others may be generated beside it
            self.failure = error
            return True
        self.tokens += 1
        if token in self._ends:
            self.finished = True
        else:
            self._take(token)
        self._tell()
        return self.ended

    def _take(self, token: int) -> None:
        start = len(self.text)
        self._ids.append(token)
        self.text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        if self._row is not None:
            self._scores.append((start, self._score_of(token)))
        cuts = [cut for cut in (self.text.find(stop) for stop in self._stop) if cut >= 0]
        if cuts:
            self.text = self.text[: min(cuts)]
            self.finished = True

    def _score_of(self, token: int) -> TokenScore:
        best = self._row.topk(self._tops)
        tops = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        decode = self._tokenizer.decode
        return TokenScore(
            decode([token]), float(self._row[token]), tuple((decode([top]), logprob) for top, logprob in tops)
        )

    def _tell(self, last: bool = False) -> None:
        settled = len(self.text) if last or self.finished else len(self.text) - self._unsettled()
        if self._on_text and settled > self._told:
            self._on_text(self.text[self._told : settled])
            self._told = settled

    def flush(self) -> None:
        """Tell the rest, once no more tokens will come."""
        self._tell(last=True)

    def _unsettled(self) -> int:
        """How many characters at the end may still change: half ones, or the beginning of a stop."""
        halves = len(self.text) - len(self.text.rstrip("\N{REPLACEMENT CHARACTER}"))
        if halves:
            return halves
        sizes = (
            size for stop in self._stop for size in range(1, len(stop)) if self.text.endswith(stop[:size])
        )
        return max(sizes, default=0)


class Transcripts:
    """Follows all answers of a `generate` from inside: its logits processor and its stopping criterion."""

    def __init__(self, rows: Sequence[Transcript]) -> None:
        self._rows = rows

    def score(self, _input_ids: Any, logits: Any) -> Any:
        """A logits processor that changes nothing."""
        for transcript, row in zip(self._rows, logits, strict=True):
            transcript.score(row)
        return logits

    def advance(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        """A stopping criterion: which answers have ended, shape (answers,)."""
        ended = [
            transcript.advance(token)
            for transcript, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True)
        ]
        return input_ids.new_tensor(ended).bool()
