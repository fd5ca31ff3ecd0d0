"""A training: seeded, resumable, and with its learning curve in a CSV."""

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
from lab.training.dataset import TRAIN, scene_at
from lab.training.grounding import GroundingHead, attention_loss
from lab.training.model import build_model, build_tokenizer
from lab.training.packing import IGNORED, pack
from lab.training.recipes import Recipe

log = logging.getLogger(__name__)

WARM_UP_STEPS = 100
WEIGHT_DECAY = 0.02
REPORT_EVERY = 100
SAVE_EVERY_S = 120.0
FIGURES = ("answer", "exact", "grounding", "attention", "grid", "likeness")


@dataclass(frozen=True)
class Batch:
    """A batch of scenes.

    Attributes:
        scenes: The scenes.
        tokens: Their image tokens, (batch, tokens, width).
        types: Types of question to ask, none to ask nothing; a type that is listed twice is asked twice as
            often.
        losses: Losses to minimise in addition to those of the answers.
    """

    scenes: list[Scene]
    tokens: torch.Tensor
    types: Sequence[str]
    losses: dict[str, torch.Tensor] = field(default_factory=dict)


class Trainer:
    """Trains a model and saves its state; a subclass provides the batches.

    Attributes:
        parts: The modules to train and save, by name.
        step: Training steps so far.
        spent_s: Time of these steps.
        progress: Share of the steps of the present call of `train`, in [0, 1].
    """

    parts: dict[str, torch.nn.Module]

    def __init__(self, name: str, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.name = name
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        self.spent_s = 0.0
        self.progress = 0.0
        self.tokenizer = _tokenizer(folder, seed)
        self.model: LlavaForConditionalGeneration = build_model(recipe, self.tokenizer)
        self.grounding = GroundingHead(self.tokenizer, recipe.width)
        self.parts = {
            "decoder": self.model.model.language_model,
            "head": self.model.lm_head,
            "grounding": self.grounding,
        }
        self._rng = np.random.default_rng([seed, 7])
        self._figures: dict[str, list[float]] = {name: [] for name in FIGURES}

    def next_batch(self) -> Batch:
        """Returns the next batch."""
        raise NotImplementedError

    @property
    def checkpoint(self) -> Path:
        """The file with the saved state."""
        return self.folder / f"{self.name}.pt"

    @property
    def curve(self) -> Path:
        """The CSV with the learning curve."""
        return self.folder / f"{self.name}.csv"

    def train(self, steps: int) -> None:
        """Trains until the total number of steps is `steps`, steps before a resume included."""
        for part in self.parts.values():
            part.train()
        self._prepare()
        saved_at = last = time.monotonic()
        with Progress(
            *Progress.get_default_columns(), TimeRemainingColumn(), disable=not sys.stderr.isatty()
        ) as progress:
            bar = progress.add_task(self.name, total=steps, completed=self.step)
            while self.step < steps:
                self.progress = self.step / steps
                self._train_step()
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
                parameters.values(),
                lr=self.recipe.learning_rate,
                betas=(0.9, 0.98),
                weight_decay=WEIGHT_DECAY,
            )

    def _learning_rate(self) -> float:
        """Returns the rate of a cosine schedule with a linear warm-up."""
        warm_up = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        return self.recipe.learning_rate * warm_up * (0.03 + 0.97 * cosine)

    def _train_step(self) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
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
        """Returns the losses of a new batch and the accuracy of its answer tokens."""
        batch = self.next_batch()
        if not batch.types:
            return batch.losses, 0.0
        prefix, losses = batch.tokens.shape[1], dict(batch.losses)
        questions = [ask(scene, self._rng, self.recipe.questions, batch.types) for scene in batch.scenes]
        packed = pack(questions, self.tokenizer, prefix)
        words = self.model.get_input_embeddings()(packed.ids)
        output = self.model.model.language_model(
            inputs_embeds=torch.cat([batch.tokens, words], dim=1),
            attention_mask=torch.zeros(packed.mask.shape).masked_fill(~packed.mask, -1e9),
            position_ids=packed.positions,
            use_cache=False,
            output_hidden_states=True,
            output_attentions=True,
        )
        labels = packed.labels[:, 1:]
        answers = labels != IGNORED
        logits = self.model.lm_head(output.last_hidden_state[:, prefix:-1][answers])
        losses["answer"] = torch.nn.functional.cross_entropy(logits, labels[answers])
        hidden = [state[:, prefix:] for state in output.hidden_states[1:-1]]
        targets = self.grounding.targets(questions, batch.scenes)
        losses["grounding"] = self.grounding.loss(hidden, targets)
        losses["attention"] = attention_loss(output.attentions, targets, prefix)
        exact = (logits.argmax(-1) == labels[answers]).float().mean()
        return losses, exact.item()

    def _report(self) -> None:
        """Appends the means of all figures since the last report to the learning curve."""
        means = {name: sum(values) / len(values) for name, values in self._figures.items() if values}
        new = not self.curve.exists() or self.step == REPORT_EVERY
        with self.curve.open("w" if new else "a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", "rate", *FIGURES])
            figures = [f"{means[name]:.4f}" if name in means else "" for name in FIGURES]
            writer.writerow([self.step, round(self.spent_s), f"{self._learning_rate():.2e}", *figures])
        shown = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        log.info("%s step %d, %d s: %s", self.name, self.step, self.spent_s, shown)
        self._figures = {name: [] for name in FIGURES}

    def save(self) -> None:
        """Saves the state for `resume`."""
        state: dict[str, Any] = {
            "step": self.step,
            "spent_s": self.spent_s,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "optimiser": self.optimiser.state_dict(),
            "rng": self._rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
        }
        new = self.checkpoint.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.checkpoint)

    def resume(self) -> bool:
        """Loads the saved state; returns False if there is none."""
        if not self.checkpoint.exists():
            return False
        state = self.load_checkpoint()
        self._prepare()
        self.step, self.spent_s = state["step"], state["spent_s"]
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self._rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        return True

    def load_parts(self, other: Trainer, names: Sequence[str]) -> None:
        """Loads parts that another trainer saved; parameters that it does not have are unchanged.

        Raises:
            FileNotFoundError: The other trainer has saved nothing yet.
        """
        if not other.checkpoint.exists():
            raise FileNotFoundError(f"{other.checkpoint} is missing: train {other.name} first")
        parts = other.load_checkpoint()["parts"]
        for name in names:
            self.parts[name].load_state_dict(parts[name], strict=False)

    def load_checkpoint(self) -> dict[str, Any]:
        """Returns the saved state."""
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=False)
        return state


def _tokenizer(folder: Path, seed: int) -> PreTrainedTokenizerFast:
    """Returns the tokenizer of all trainings in `folder`.

    It is built once and then kept, because saved models need the same one even if the questions change.
    """
    saved = folder / "tokenizer"
    if not saved.exists():
        rng = np.random.default_rng([seed, 3])
        questions: list[Question] = [q for i in range(3000) for q in ask(scene_at(TRAIN, i), rng, 6, TYPES)]
        build_tokenizer(text for q in questions for text in (q.text, q.answer)).save_pretrained(saved)
    return PreTrainedTokenizerFast.from_pretrained(saved)
