"""A loaded vision-language model: messages in, an answer out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm.completion import ModelCard
from vlm.errors import GenerationFailed, InvalidRequest, OutOfMemory
from vlm.families import Family
from vlm.pictures import decode
from vlm.schema import ChatRequest, Message
from vlm.transcript import TokenScore, Transcript

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
        """Answer `request` in at most `max_tokens` tokens.

        `check` is called at every token and may raise to end it; `on_text` gets each settled piece of text.
        Raises InvalidRequest for a request that this model cannot take, OutOfMemory and GenerationFailed.
        """
        import torch

        try:
            inputs = self._inputs(request)
            prompt_tokens = int(inputs["input_ids"].shape[1])
            self._fit(prompt_tokens, max_tokens)
            transcript = Transcript(
                self._processor.tokenizer,
                ends=self._ends,
                stop=(*self._family.stop, *request.stop),
                tops=request.tops,
                on_token=check,
                on_text=on_text,
            )
            if request.seed is not None:
                torch.manual_seed(request.seed)
            check()
            with torch.inference_mode():
                self._model.generate(
                    **inputs,
                    generation_config=self._plan(request, max_tokens),
                    logits_processor=[transcript.score],
                    stopping_criteria=[transcript.advance],
                )
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise OutOfMemory(f"{self.card.id} ran out of memory; send a smaller image") from error
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
            if "allocate memory" in str(error):  # torch's CPU allocator raises a bare RuntimeError
                raise OutOfMemory(f"{self.card.id} ran out of memory; send a smaller image") from error
            raise GenerationFailed(f"{self.card.id} failed on this request: {error}") from error
        finished = transcript.finished
        transcript.flush()
        return Answer(
            text=self._family.normalise(transcript.text),
            finish_reason="stop" if finished else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=transcript.tokens,
            scores=transcript.scores if request.tops is not None else None,
        )

    def _inputs(self, request: ChatRequest) -> Any:
        parts = [part for message in request.messages for part in message.parts]
        images = [decode(part) for part in parts if isinstance(part, Image.Image)]
        conversation = [
            {"role": message.role, "content": [self._part(part) for part in message.parts]}
            for message in request.messages
        ]
        prompt = self._processor.apply_chat_template(conversation, add_generation_prompt=True)
        begin = self._processor.tokenizer.bos_token
        side = max(max(image.size) for image in images)
        return self._processor(
            text=prompt,
            images=images,
            return_tensors="pt",
            add_special_tokens=not (begin and prompt.startswith(begin)),
            images_kwargs=self._family.image_options(
                self._processor.image_processor, side, self.card.resolutions
            ),
        ).to(self._model.device, dtype=self._model.dtype)

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

    def _plan(self, request: ChatRequest, max_tokens: int) -> Any:
        plan = copy.deepcopy(self._model.generation_config)
        sample = request.temperature > 0
        plan.update(
            max_new_tokens=max_tokens,
            max_length=None,
            do_sample=sample,
            temperature=request.temperature if sample else None,
            top_p=request.top_p if sample else None,
            top_k=0 if sample else None,
            eos_token_id=sorted(self._ends),
            pad_token_id=self._processor.tokenizer.pad_token_id or min(self._ends, default=None),
        )
        return plan
