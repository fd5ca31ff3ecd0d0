"""A loaded vision-language model: a request in, an answer out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from vlm.choice_decoding import Branch, ChoiceDecoding, Path, choice_probabilities, paths_of
from vlm.completion import ModelCard
from vlm.errors import GenerationFailed, InvalidRequest, OutOfMemory
from vlm.families import Family
from vlm.generation import Generation, GenerationBatch, TokenScore
from vlm.images import decode
from vlm.schema import ChatRequest, Message

WARM_UP = ChatRequest(
    None, (Message("user", (Image.new("RGB", (64, 64), "gray"), "What is this?")),), top_logprobs=2
)


@dataclass(frozen=True)
class Answer:
    """An answer of the model.

    Attributes:
        text: the answer, normalised by its family.
        finish_reason: "stop", or "length" if max_tokens ended it.
        scores: one per token of the answer, None if the request asked for no log-probabilities.
        choice_probabilities: the probability of each choice, None if the request had none.
        notes: what was changed in the request.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    scores: list[TokenScore] | None
    choice_probabilities: dict[str, float] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchItem:
    """A request of a batch, with its own limits.

    Attributes:
        max_tokens: most tokens of the answer.
        check: called for every token; may raise to end this answer.
        on_text: called with each new piece of text.
    """

    request: ChatRequest
    max_tokens: int
    check: Callable[[], None]
    on_text: Callable[[str], None] | None = None


class VisionModel:
    """A checkpoint in memory. Not thread-safe."""

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
        self._end_tokens = frozenset(token for token in ids if token is not None)
        self._control_tokens = [*tokenizer.all_special_tokens, getattr(processor, "image_token", None)]
        config = model.config.get_text_config()
        self._context_length: int | None = getattr(config, "max_position_embeddings", None)
        tokenizer.padding_side = "left"  # generation continues at the right end of each prompt
        family.prepare(model)

    def warm_up(self, check: Callable[[], None]) -> None:
        """Answers a small question, so that the first real one does not wait for lazy initialisation."""
        self.generate(WARM_UP, max_tokens=2, check=check)

    def generate(
        self,
        request: ChatRequest,
        *,
        max_tokens: int,
        check: Callable[[], None],
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answers `request` in at most `max_tokens` tokens; see BatchItem for the arguments.

        Raises:
            InvalidRequest: this model cannot answer the request.
            OutOfMemory: the request needs more memory than is free.
            GenerationFailed: the model failed for another reason.
            Exception: what `check` raises.
        """
        (answer,) = self.generate_batch([BatchItem(request, max_tokens, check, on_text)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def batch_key(self, request: ChatRequest) -> str | None:
        """Requests with the same key can be answered in one batch; None is answered alone."""
        if request.temperature > 0 or self._processor.tokenizer.pad_token_id is None:
            return None
        kind = " choices" if request.choices else ""  # may need further passes, for which others would wait
        kind += "" if request.images else " text"
        return f"{self.card.id} {self._image_options([request])}{kind}"

    def generate_batch(self, items: Sequence[BatchItem]) -> list[Answer | Exception]:
        """Answers several requests at once. If a `check` raises, its exception replaces that answer.

        Raises:
            Exception: as `generate`; the error does not show which of the requests caused it.
        """
        decodings = [self._choice_decoding(item) for item in items]
        generations, prompt_tokens = self._run(items, decodings)
        answers: list[Answer | Exception] = []
        for item, generation, decoding, tokens in zip(
            items, generations, decodings, prompt_tokens, strict=True
        ):
            try:
                if generation.failure:
                    raise generation.failure
                answer = self._answer(item, generation, tokens)
                answers.append(self._choose(item, answer, decoding) if decoding else answer)
            except OutOfMemory:
                raise
            except Exception as error:  # concerns this answer only
                answers.append(error)
        return answers

    def _run(
        self, items: Sequence[BatchItem], decodings: Sequence[ChoiceDecoding | None]
    ) -> tuple[list[Generation], list[int]]:
        """Generates once. Returns the answers, and the lengths of the prompts in tokens."""
        import torch

        try:
            inputs = self._inputs([item.request for item in items])
            self._check_length(int(inputs["input_ids"].shape[1]), max(item.max_tokens for item in items))
            generations = [self._start(*pair) for pair in zip(items, decodings, strict=True)]
            batch = GenerationBatch(generations)
            if items[0].request.seed is not None:
                torch.manual_seed(items[0].request.seed)
            with torch.inference_mode():
                self._model.generate(
                    **inputs,
                    generation_config=self._generation_config(items),
                    logits_processor=[batch.score],
                    stopping_criteria=[batch.advance],
                )
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise OutOfMemory(f"{self.card.id} ran out of memory; send a smaller image") from error
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
            if "allocate memory" in str(error):  # torch's CPU allocator raises a bare RuntimeError
                raise OutOfMemory(f"{self.card.id} ran out of memory; send a smaller image") from error
            raise GenerationFailed(f"{self.card.id} failed on this request: {error}") from error
        return generations, inputs["attention_mask"].sum(dim=1).tolist()

    def _start(self, item: BatchItem, decoding: ChoiceDecoding | None) -> Generation:
        item.check()
        return Generation(
            self._processor.tokenizer,
            end_tokens=self._end_tokens,
            stop=() if decoding else (*self._family.stop, *item.request.stop),
            max_tokens=item.max_tokens,
            top_logprobs=item.request.top_logprobs,
            on_token=item.check,
            on_text=None if decoding else item.on_text,
            choices=decoding,
        )

    def _answer(self, item: BatchItem, generation: Generation, prompt_tokens: int) -> Answer:
        generation.flush()
        return Answer(
            text=self._family.normalise(generation.text),
            finish_reason="stop" if generation.finished else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=generation.tokens,
            scores=generation.scores if item.request.top_logprobs is not None else None,
        )

    def _choice_decoding(self, item: BatchItem) -> ChoiceDecoding | None:
        choices = item.request.choices
        if not choices:
            return None
        for choice in choices:
            if any(token and token in choice for token in self._control_tokens):
                raise InvalidRequest(
                    f"the choice {choice!r} contains a control token; rename it", "invalid_choices"
                )
        paths = paths_of(self._processor.tokenizer, choices, self._end_tokens, item.max_tokens)
        return ChoiceDecoding(paths, self._end_tokens)

    def _choose(self, item: BatchItem, answer: Answer, decoding: ChoiceDecoding) -> Answer:
        """Returns the most probable choice, or with sampling the choice that was sampled."""

        def decode(paths: tuple[Path, ...]) -> list[Branch]:
            decode_one(paths)
            return decodings[-1].branches

        def decode_one(paths: Sequence[Path]) -> Answer:
            decodings.append(ChoiceDecoding(paths, self._end_tokens))
            (generation,), (prompt_tokens,) = self._run([item], decodings[-1:])
            if generation.failure:
                raise generation.failure
            return self._answer(item, generation, prompt_tokens)

        decodings = [decoding]
        probabilities = choice_probabilities(item.request.choices, decoding.branches, decode)
        choice = decoding.choice or ""
        best = max(probabilities, key=lambda name: probabilities[name])
        if item.request.temperature == 0 and probabilities[best] > probabilities[choice]:
            choice = best  # token by token it was not the best; its own scores need a pass
            answer = decode_one(
                paths_of(self._processor.tokenizer, [best], self._end_tokens, item.max_tokens)
            )
        if item.on_text:
            item.on_text(choice)
        return replace(answer, text=choice, choice_probabilities=probabilities)

    def _inputs(self, requests: Sequence[ChatRequest]) -> Any:
        """Tokens and pixels of all requests, padded to the same length."""
        try:
            prompts = [self._prompt(request) for request in requests]
            start_token = self._processor.tokenizer.bos_token
            inputs = self._processor(
                text=prompts,
                images=[[decode(image) for image in request.images] for request in requests]
                if requests[0].images
                else None,
                return_tensors="pt",
                padding=len(requests) > 1,
                add_special_tokens=not (start_token and prompts[0].startswith(start_token)),
                images_kwargs=self._image_options(requests),
            )
        except (InvalidRequest, MemoryError):
            raise
        except Exception as error:  # a model that is loaded has answered once, so the request is the cause
            if "allocate memory" in str(error):
                raise
            raise InvalidRequest(
                f"{self.card.id} cannot read this request ({error}); change its messages or its image",
                "unreadable_request",
            ) from error
        return inputs.to(self._model.device, dtype=self._model.dtype)

    def _prompt(self, request: ChatRequest) -> str:
        if not request.images and not self.card.instructions:
            raise InvalidRequest(
                f"{self.card.id} answers questions about images only: add a part of type image_url with a "
                "data URL to the user's content",
                "missing_image",
            )
        conversation = [
            {"role": message.role, "content": [self._part(part) for part in message.parts]}
            for message in request.messages
        ]
        return str(self._processor.apply_chat_template(conversation, add_generation_prompt=True))

    def _image_options(self, requests: Sequence[ChatRequest]) -> dict[str, Any]:
        sides = [max(image.size) for request in requests for image in request.images]
        if not sides:
            return {}
        side = max(sides)
        return self._family.image_options(self._processor.image_processor, side, self.card.resolutions)

    def _part(self, part: str | Image.Image) -> dict[str, str]:
        if isinstance(part, Image.Image):
            return {"type": "image"}
        for token in self._control_tokens:  # in a question they would forge a turn or add an image
            if token:
                part = part.replace(token, " ")
        return {"type": "text", "text": part}

    def _check_length(self, prompt_tokens: int, max_tokens: int) -> None:
        if self._context_length is not None and prompt_tokens + max_tokens > self._context_length:
            raise InvalidRequest(
                f"{prompt_tokens} prompt tokens and {max_tokens} answer tokens exceed the context length "
                f"{self._context_length} of {self.card.id}; shorten the question or send a smaller image",
                "prompt_too_long",
            )

    def _generation_config(self, items: Sequence[BatchItem]) -> Any:
        config = copy.deepcopy(self._model.generation_config)
        request = items[0].request
        sample = request.temperature > 0
        config.update(
            max_new_tokens=max(item.max_tokens for item in items),
            max_length=None,
            do_sample=sample,
            temperature=request.temperature if sample else None,
            top_p=request.top_p if sample else None,
            top_k=0 if sample else None,
            eos_token_id=sorted(self._end_tokens),
            pad_token_id=self._processor.tokenizer.pad_token_id or min(self._end_tokens, default=None),
        )
        return config
