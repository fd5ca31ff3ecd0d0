"""One training run: seeded, resumable, with a line of figures every so often."""

from __future__ import annotations

import csv
import logging
import math
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from scenes.question import TYPES, ask
from scenes.scene import Scene
from training.dataset import TRAIN, picture_file, scene
from training.grid import GridHead, truth
from training.model import build_model, build_tokenizer
from training.naming import Naming
from training.packing import IGNORED, pack
from training.recipes import Recipe

log = logging.getLogger(__name__)

SIMPLE = ("existence", "colour", "shape", "texture", "sign", "gauge")
SIMPLE_STEPS = 900
WARM_UP = 300
DECAY = 0.05
REPORT_EVERY = 200
SAVE_EVERY_S = 120.0


class Run:
    """A model being trained, with all that is needed to go on after an interruption."""

    def __init__(self, recipe: Recipe, folder: Path, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        self.spent_s = 0.0
        self.tokenizer = self._tokenizer(seed)
        self.model: LlavaForConditionalGeneration = build_model(recipe, self.tokenizer)
        self.side = recipe.image // recipe.patch
        self.grid = GridHead(recipe.width, self.side)
        self.naming = Naming(self.tokenizer, self.side)
        parameters = [*self.model.parameters(), *self.grid.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=DECAY)
        self._rng = np.random.default_rng([seed, 7])

    @cached_property
    def pictures(self) -> NDArray[np.uint8]:
        """The rendered training scenes, (scenes, side, side, 3); exporting needs none of them."""
        return np.asanyarray(np.load(picture_file(self.folder, TRAIN, self.recipe.image), mmap_mode="r"))

    @cached_property
    def scenes(self) -> list[Scene]:
        """What stands in each picture."""
        return [scene(TRAIN, index) for index in range(len(self.pictures))]

    @property
    def checkpoint(self) -> Path:
        """Where the run is kept."""
        return self.folder / f"{self.recipe.name}.pt"

    @property
    def curve(self) -> Path:
        """Where the run's figures are kept."""
        return self.folder / f"{self.recipe.name}.csv"

    def _tokenizer(self, seed: int) -> PreTrainedTokenizerFast:
        """The run's own, which must outlive a change of the questions it was learned from."""
        kept = self.folder / f"{self.recipe.name}-tokenizer"
        if not kept.exists():
            build_tokenizer(_corpus(seed)).save_pretrained(kept)
        return PreTrainedTokenizerFast.from_pretrained(kept)

    def train(self, until_s: float) -> None:
        """Train until `until_s` seconds have been spent in all, earlier parts of the run included."""
        self.model.train()
        fresh = not self.curve.exists() or self.step == 0
        sums: dict[str, float] = {"answer": 0.0, "grid": 0.0, "naming": 0.0, "exact": 0.0}
        saved_at = last = time.monotonic()
        with self.curve.open("w" if fresh else "a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", "seconds", "rate", *sums])
            while self.spent_s < until_s:
                rate = self._rate(self.spent_s / until_s)
                for group in self.optimiser.param_groups:
                    group["lr"] = rate
                for name, value in self._step().items():
                    sums[name] += value / REPORT_EVERY
                now = time.monotonic()
                self.spent_s += now - last
                last = now
                self.step += 1
                if self.step % REPORT_EVERY == 0:
                    figures = [f"{value:.4f}" for value in sums.values()]
                    writer.writerow([self.step, round(self.spent_s), f"{rate:.2e}", *figures])
                    file.flush()
                    log.info(
                        "%s step %d, %d s: %s", self.recipe.name, self.step, self.spent_s, " ".join(figures)
                    )
                    sums = dict.fromkeys(sums, 0.0)
                if now - saved_at > SAVE_EVERY_S:
                    self.save()
                    saved_at = now
        self.save()

    def _rate(self, done: float) -> float:
        warm = min(1.0, (self.step + 1) / WARM_UP)
        return self.recipe.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def _step(self) -> dict[str, float]:
        chosen = np.sort(self._rng.integers(len(self.pictures), size=self.recipe.batch))
        scenes = [self.scenes[index] for index in chosen]
        pixels = torch.from_numpy(self.pictures[chosen]).permute(0, 3, 1, 2).float() / 127.5 - 1
        packed = pack(
            [ask(s, self._rng, self.recipe.questions, self._types()) for s in scenes],
            self.tokenizer,
            self.side**2,
        )
        seen = torch.stack(self.model.model.get_image_features(pixels).pooler_output)
        words = self.model.get_input_embeddings()(packed.ids)
        hidden = self.model.model.language_model(
            inputs_embeds=torch.cat([seen, words], dim=1),
            attention_mask=torch.zeros(packed.mask.shape).masked_fill(~packed.mask, -1e9),
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state[:, self.side**2 :]
        labels = packed.labels[:, 1:]
        wanted = labels != IGNORED
        scores = self.model.lm_head(hidden[:, :-1][wanted])
        answer = torch.nn.functional.cross_entropy(scores, labels[wanted])
        grid = self.grid.loss(seen, truth(scenes))
        naming = self.naming.loss(seen, scenes, self.model)
        self.optimiser.zero_grad(set_to_none=True)
        (answer + grid + naming).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        exact = (scores.argmax(-1) == labels[wanted]).float().mean()
        return {"answer": answer.item(), "grid": grid.item(), "naming": naming.item(), "exact": exact.item()}

    def _types(self) -> tuple[str, ...]:
        """Simple questions first: looking up one thing is learned soonest when nothing else is asked."""
        return SIMPLE if self.step < SIMPLE_STEPS else TYPES

    def save(self) -> None:
        """Keep the run so that `resume` can go on from here."""
        state: dict[str, Any] = {
            "step": self.step,
            "spent_s": self.spent_s,
            "model": self.model.state_dict(),
            "grid": self.grid.state_dict(),
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
        state = torch.load(self.checkpoint, weights_only=False)
        self.step, self.spent_s = state["step"], state["spent_s"]
        self.model.load_state_dict(state["model"])
        self.grid.load_state_dict(state["grid"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        return True


def _corpus(seed: int) -> list[str]:
    rng = np.random.default_rng([seed, 3])
    questions = [q for index in range(3000) for q in ask(scene(TRAIN, index), rng, 6)]
    return [text for q in questions for text in (q.text, q.answer)]
