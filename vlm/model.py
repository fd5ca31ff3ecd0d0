"""A loaded vision-language model: messages in, an answer out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm.completion import ModelCard
from vlm.errors import GenerationFailed, InvalidRequest, OutOfMemory
from vlm.families import Family
from vlm.generation import TokenScore, Transcript, Transcripts
from vlm.images import decode
from vlm.schema import ChatRequest, Message

WARM_UP = ChatRequest(None, (Message("user", (Image.new("RGB", (64, 64), "gray"), "What is this?")),), tops=2)


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes:
        text: the normalised answer.
        finish_reason: "stop", or "length" when max_tokens cut it short.
        scores: one per token of the answer, None when the request wanted none.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    scores: list[TokenScore] | None


@dataclass(frozen=True)
class Ask:
    """A request with its own limits.

    Attributes:
        max_tokens: most tokens of the answer.
        check: called at every token; may raise to end the answer.
        on_text: gets each settled piece of text.
    """

    request: ChatRequest
    max_tokens: int
    check: Callable[[], None]
    on_text: Callable[[str], None] | None = None


class VisionModel:
    """A checkpoint in memory. Not thread-safe: whoever owns it asks it one thing at a time."""

    def __init__(self, card: ModelCard, family: Family, model: Any, processor: Any) -> None:
        self.card = card
        self._family = family
        self._model = model
        self._processor = processor
        tokenizer = processor.tokenizer
        configured = model.generation_config.eos_token_id
        ids = [*configured] if isinstance(configured, list) else [configured, tokenizer.eos_token_id]
        vocabulary = tokenizer.get_vocab()
        ids += [vocabulary.get(stop) for stop in family.stop]
        self._ends = frozenset(token for token in ids if token is not None)
        self._controls = [*tokenizer.all_special_tokens, getattr(processor, "image_token", None)]
        config = model.config.get_text_config()
        self._window: int | None = getattr(config, "max_position_embeddings", None)
        tokenizer.padding_side = "left"  # answers continue where the prompts end
        family.prepare(model)

    def warm_up(self, check: Callable[[], None]) -> None:
        """Answer a small question, so that the first real one does not pay for lazy initialisation."""
        self.generate(WARM_UP, max_tokens=2, check=check)

    def generate(
        self,
        request: ChatRequest,
        *,
        max_tokens: int,
        check: Callable[[], None],
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answer `request` in at most `max_tokens` tokens; see Ask.

        Raises InvalidRequest for a request that this model cannot take, OutOfMemory, GenerationFailed, and
        what `check` raises.
        """
        (answer,) = self.generate_together([Ask(request, max_tokens, check, on_text)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def together(self, request: ChatRequest) -> str | None:
        """Requests of which this is the same can be answered together; None goes alone."""
        if request.temperature > 0 or self._processor.tokenizer.pad_token_id is None:
            return None
        return f"{self.card.id} {self._image_options([request])}"

    def generate_together(self, asks: Sequence[Ask]) -> list[Answer | Exception]:
        """Answer several requests at once; what a `check` raises takes the place of its answer.

        Raises what `generate` does, without telling which of the requests is to blame.
        """
        import torch

        try:
            inputs = self._inputs([ask.request for ask in asks])
            self._fit(int(inputs["input_ids"].shape[1]), max(ask.max_tokens for ask in asks))
            transcripts = [self._transcript(ask) for ask in asks]
            rows = Transcripts(transcripts)
            if asks[0].request.seed is not None:
                torch.manual_seed(asks[0].request.seed)
            with torch.inference_mode():
                self._model.generate(
                    **inputs,
                    generation_config=self._plan(asks),
                    logits_processor=[rows.score],
                    stopping_criteria=[rows.advance],
                )
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise OutOfMemory(f"{self.card.id} ran out of memory; send a smaller image") from error
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
            if "allocate memory" in str(error):  # torch's CPU allocator raises a bare RuntimeError
                raise OutOfMemory(f"{self.card.id} ran out of memory; send a smaller image") from error
            raise GenerationFailed(f"{self.card.id} failed on this request: {error}") from error
        prompts = inputs["attention_mask"].sum(dim=1).tolist()
        return [self._answer(*row) for row in zip(asks, transcripts, prompts, strict=True)]

    def _transcript(self, ask: Ask) -> Transcript:
        ask.check()
        return Transcript(
            self._processor.tokenizer,
            ends=self._ends,
            stop=(*self._family.stop, *ask.request.stop),
            limit=ask.max_tokens,
            tops=ask.request.tops,
            on_token=ask.check,
            on_text=ask.on_text,
        )

    def _answer(self, ask: Ask, transcript: Transcript, prompt_tokens: int) -> Answer | Exception:
        if transcript.failure:
            return transcript.failure
        transcript.flush()
        return Answer(
            text=self._family.normalise(transcript.text),
            finish_reason="stop" if transcript.finished else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=transcript.tokens,
            scores=transcript.scores if ask.request.tops is not None else None,
        )

    def _inputs(self, requests: Sequence[ChatRequest]) -> Any:
        prompts = [self._prompt(request) for request in requests]
        begin = self._processor.tokenizer.bos_token
        return self._processor(
            text=prompts,
            images=[[decode(image) for image in request.images] for request in requests],
            return_tensors="pt",
            padding=len(requests) > 1,
            add_special_tokens=not (begin and prompts[0].startswith(begin)),
            images_kwargs=self._image_options(requests),
        ).to(self._model.device, dtype=self._model.dtype)

    def _prompt(self, request: ChatRequest) -> str:
        conversation = [
            {"role": message.role, "content": [self._part(part) for part in message.parts]}
            for message in request.messages
        ]
        return str(self._processor.apply_chat_template(conversation, add_generation_prompt=True))

    def _image_options(self, requests: Sequence[ChatRequest]) -> dict[str, Any]:
        side = max(max(image.size) for request in requests for image in request.images)
        return self._family.image_options(self._processor.image_processor, side, self.card.resolutions)

    def _part(self, part: str | Image.Image) -> dict[str, str]:
        if isinstance(part, Image.Image):
            return {"type": "image"}
        for control in self._controls:  # a question is text: it must not forge a turn or place an image
            if control:
                part = part.replace(control, " ")
        return {"type": "text", "text": part}

    def _fit(self, prompt_tokens: int, max_tokens: int) -> None:
        if self._window is not None and prompt_tokens + max_tokens > self._window:
            raise InvalidRequest(
                f"{prompt_tokens} tokens of prompt and {max_tokens} of answer are more than the "
                f"{self._window} that {self.card.id} can hold; shorten the question or send a smaller image",
                "prompt_too_long",
            )

    def _plan(self, asks: Sequence[Ask]) -> Any:
        plan = copy.deepcopy(self._model.generation_config)
        request = asks[0].request
        sample = request.temperature > 0
        plan.update(
            max_new_tokens=max(ask.max_tokens for ask in asks),
            max_length=None,
            do_sample=sample,
            temperature=request.temperature if sample else None,
            top_p=request.top_p if sample else None,
            top_k=0 if sample else None,
            eos_token_id=sorted(self._ends),
            pad_token_id=self._processor.tokenizer.pad_token_id or min(self._ends, default=None),
        )
        return plan
