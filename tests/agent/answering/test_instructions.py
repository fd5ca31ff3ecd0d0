"""A model that does not follow instructions is asked the bare question."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from agent.answering.arms import Arms
from agent.answering.question import Question, QuestionReader
from agent.config.settings import Settings
from agent.forms.form import AnswerForm
from agent.messages.query import Query
from agent.peers.registry import Peer
from agent.peers.trust import Verdict
from cloud.peer import PeerRecord
from controller import Arm
from lab.rig.fixed_energy import FixedEnergyMeter
from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.completion import ModelCard
from vlm.errors import VlmUnavailable

pytestmark = pytest.mark.anyio


@dataclass
class Client:
    """Records what it is asked, and does not answer."""

    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def complete(self, question: str, _image: bytes, **options: Any) -> None:
        self.asked.append((question, options["choices"]))
        raise VlmUnavailable("it only records")


def question(form: AnswerForm) -> Question:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "gray").save(file, "JPEG")
    query = Query("q", "Is it open?", file.getvalue(), form=form)
    return QuestionReader(lambda: (64,), Settings.model_validate({"device": "d"})).read(query)


async def asked_of(card: ModelCard, form: AnswerForm) -> tuple[str, tuple[str, ...]]:
    client = Client()
    peer = Peer(PeerRecord("p", "unix:/p"), client, set(), Verdict((), ""), cards=(card,), healthy=True)  # type: ignore[arg-type]
    registry = SimpleNamespace(get=lambda _id: peer, began=lambda _id: None, ended=lambda *_: None)
    servers = SimpleNamespace(registry=lambda _tier: registry, prompt=lambda _tier, _server: None)
    arms = Arms(servers, FixedEnergyMeter(), lambda _tier, _card: (64,))
    await arms.ask(Arm("cloud", card.id, 64, "p"), question(form), max_tokens=4, timeout_s=1.0)
    (asked,) = client.asked
    return asked


async def test_the_form_is_asked_for_only_if_the_model_follows_instructions() -> None:
    yes_no = AnswerForm("yes_no")
    prompt, choices = await asked_of(ModelCard("m"), yes_no)
    assert prompt == "Is it open? Answer yes or no. If it cannot be determined, answer unknown."
    bare, same_choices = await asked_of(ModelCard("m", instructions=False), yes_no)
    assert bare == "Is it open?"
    assert choices == same_choices == ("yes", "no", "unknown")


async def test_without_a_form_nothing_is_added() -> None:
    for instructions in (True, False):
        assert await asked_of(ModelCard("m", instructions=instructions), AnswerForm()) == ("Is it open?", ())


@pytest.mark.parametrize("instructions", [True, False])
def test_a_server_reports_whether_its_model_follows_instructions(instructions: bool) -> None:
    card = ModelCard("m", instructions=instructions)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


@pytest.mark.parametrize("malformed", [{}, {"instructions": None}, {"instructions": "no"}])
def test_other_models_are_assumed_to_follow_instructions(malformed: dict[str, object]) -> None:
    assert ModelCard.from_json({"id": "m", "inarvl": malformed}).instructions


@pytest.mark.parametrize("name", bundled.names())
def test_the_bundled_models_do_not_follow_instructions(name: str) -> None:
    """With the sentences for yes or no, their accuracy on drawn scenes falls from about 90% to about 50%."""
    assert Checkpoint.at(f"bundled:{name}", "none").notes()["instructions"] is False
