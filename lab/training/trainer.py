"""A training run: seeded, resumable, with a line of figures every so often."""

from __future__ import annotations

import csv
import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress, TimeRemainingColumn
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from lab.scenes.question import TYPES, Question, ask
from lab.scenes.scene import Scene
from lab.training.dataset import TRAIN, scene
from lab.training.grounding import Grounding, attention_loss
from lab.training.model import build_model, build_tokenizer
from lab.training.packing import IGNORED, pack
from lab.training.recipes import Recipe

log = logging.getLogger(__name__)

WARM_UP = 100
DECAY = 0.02
REPORT_EVERY = 100
SAVE_EVERY_S = 120.0
FIGURES = ("answer", "exact", "grounding", "attention", "grid", "likeness")


@dataclass(frozen=True)
class Look:
    """A batch of images.

    Attributes:
        scenes: what stands in them.
        seen: the tokens that stand for them, (batch, tokens, width).
        types: of question to ask, none to ask nothing; one that is named twice is asked twice as often.
        losses: to be lowered beside those of the answers.
    """

    scenes: list[Scene]
    seen: torch.Tensor
    types: Sequence[str]
    losses: dict[str, torch.Tensor] = field(default_factory=dict)


class Run:
    """A model being trained, with all that is needed to go on after an interruption.

    A subclass says what is looked at.
    """

    parts: dict[str, torch.nn.Module]

    def __init__(self, name: str, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.name = name
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        self.spent_s = 0.0
        self.share = 0.0
        self.tokenizer = _tokenizer(folder, seed)
        self.model: LlavaForConditionalGeneration = build_model(recipe, self.tokenizer)
        self.grounding = Grounding(self.tokenizer, recipe.width)
        self.parts = {
            "decoder": self.model.model.language_model,
            "head": self.model.lm_head,
            "grounding": self.grounding,
        }
        self._rng = np.random.default_rng([seed, 7])
        self._figures: dict[str, list[float]] = {name: [] for name in FIGURES}

    def look(self) -> Look:
        """The next batch."""
        raise NotImplementedError

    @property
    def checkpoint(self) -> Path:
        """Where the run is kept."""
        return self.folder / f"{self.name}.pt"

    @property
    def curve(self) -> Path:
        """Where the run's figures are kept."""
        return self.folder / f"{self.name}.csv"

    def train(self, steps: int) -> None:
        """Train until `steps` steps have been taken in all, earlier parts of the run included."""
        for part in self.parts.values():
            part.train()
        self._prepare()
        saved_at = last = time.monotonic()
        with Progress(
            *Progress.get_default_columns(), TimeRemainingColumn(), disable=not sys.stderr.isatty()
        ) as progress:
            bar = progress.add_task(self.name, total=steps, completed=self.step)
            while self.step < steps:
                self.share = self.step / steps
                self._learn()
                now = time.monotonic()
                self.spent_s += now - last
                last = now
                self.step += 1
                progress.update(bar, completed=self.step)
                if self.step % REPORT_EVERY == 0:
                    self._report()
                if now - saved_at > SAVE_EVERY_S:
                    self.save()
                    saved_at = now
        self.save()

    def _prepare(self) -> None:
        if not hasattr(self, "optimiser"):
            parameters = {id(p): p for part in self.parts.values() for p in part.parameters()}
            self.optimiser = torch.optim.AdamW(
                parameters.values(), lr=self.recipe.rate, betas=(0.9, 0.98), weight_decay=DECAY
            )

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / WARM_UP)
        return self.recipe.rate * warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * self.share)))

    def _learn(self) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        losses, exact = self._losses()
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], 1.0)
        self.optimiser.step()
        for name, loss in losses.items():
            self._figures[name].append(loss.item())
        if "answer" in losses:
            self._figures["exact"].append(exact)

    def _losses(self) -> tuple[dict[str, torch.Tensor], float]:
        look = self.look()
        if not look.types:
            return look.losses, 0.0
        tokens, losses = look.seen.shape[1], dict(look.losses)
        questions = [ask(scene, self._rng, self.recipe.questions, look.types) for scene in look.scenes]
        packed = pack(questions, self.tokenizer, tokens)
        words = self.model.get_input_embeddings()(packed.ids)
        found = self.model.model.language_model(
            inputs_embeds=torch.cat([look.seen, words], dim=1),
            attention_mask=torch.zeros(packed.mask.shape).masked_fill(~packed.mask, -1e9),
            position_ids=packed.positions,
            use_cache=False,
            output_hidden_states=True,
            output_attentions=True,
        )
        labels = packed.labels[:, 1:]
        wanted = labels != IGNORED
        scores = self.model.lm_head(found.last_hidden_state[:, tokens:-1][wanted])
        losses["answer"] = torch.nn.functional.cross_entropy(scores, labels[wanted])
        hidden = [state[:, tokens:] for state in found.hidden_states[1:-1]]
        targets = self.grounding.targets(questions, look.scenes)
        losses["grounding"] = self.grounding.loss(hidden, targets)
        losses["attention"] = attention_loss(found.attentions, targets, tokens)
        exact = (scores.argmax(-1) == labels[wanted]).float().mean()
        return losses, exact.item()

    def _report(self) -> None:
        """Write down the mean of every figure since the last report."""
        means = {name: sum(values) / len(values) for name, values in self._figures.items() if values}
        fresh = not self.curve.exists() or self.step == REPORT_EVERY
        with self.curve.open("w" if fresh else "a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "seconds", "rate", *FIGURES])
            figures = [f"{means[name]:.4f}" if name in means else "" for name in FIGURES]
            writer.writerow([self.step, round(self.spent_s), f"{self._rate():.2e}", *figures])
        told = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        log.info("%s step %d, %d s: %s", self.name, self.step, self.spent_s, told)
        self._figures = {name: [] for name in FIGURES}

    def save(self) -> None:
        """Keep the run so that `resume` can go on from here."""
        state: dict[str, Any] = {
            "step": self.step,
            "spent_s": self.spent_s,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "optimiser": self.optimiser.state_dict(),
            "rng": self._rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
        }
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def resume(self) -> bool:
        """Go on from the last save; False when there is none."""
        if not self.checkpoint.exists():
            return False
        state = self.saved()
        self._prepare()
        self.step, self.spent_s = state["step"], state["spent_s"]
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self._rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        return True

    def take(self, other: Run, names: Sequence[str]) -> None:
        """Begin with what the last save of another run holds for these parts; what it lacks stays.

        Raises:
            FileNotFoundError: the other run has not been saved yet.
        """
        if not other.checkpoint.exists():
            raise FileNotFoundError(f"{other.checkpoint} is missing: train {other.name} first")
        held = other.saved()["parts"]
        for name in names:
            self.parts[name].load_state_dict(held[name], strict=False)

    def saved(self) -> dict[str, Any]:
        """The last save, as it was written."""
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=False)
        return state


def _tokenizer(folder: Path, seed: int) -> PreTrainedTokenizerFast:
    """The one of all runs in `folder`, which must outlive a change of the questions it was learned from."""
    kept = folder / "tokenizer"
    if not kept.exists():
        rng = np.random.default_rng([seed, 3])
        questions: list[Question] = [q for i in range(3000) for q in ask(scene(TRAIN, i), rng, 6, TYPES)]
        build_tokenizer(text for q in questions for text in (q.text, q.answer)).save_pretrained(kept)
    return PreTrainedTokenizerFast.from_pretrained(kept)
