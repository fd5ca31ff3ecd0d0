"""Replies of model servers: readiness, model lists, answers and errors."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from agent.agreement.agreement import agreement
from agent.answering.answering import Answered
from agent.answering.arms import Arms
from agent.answering.question import Question, QuestionReader
from agent.answering.workers import answer_of
from agent.config.settings import Settings
from agent.forms.form import AnswerForm
from agent.judging.prompt import p_yes
from agent.messages.query import Query
from agent.peers.network_path import Paths
from agent.peers.peer import Peer
from agent.peers.trust import Verdict
from cloud.peer import PeerRecord
from controller import Arm, Context, Controller, ControllerSettings, Option, Outcome
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.rig.fuzz.fuzz_door import FuzzDoor, RaisingDoor, Use
from lab.rig.fuzz.mutation import Mutator
from lab.rig.hostile.cases import answer, model, token
from vlm import replies
from vlm.client import VlmClient
from vlm.completion import ModelCard
from vlm.connection import Connection
from vlm.errors import VlmError

URL, SERVER = "http://10.0.0.1:8020", "p"
LOGPROBS = token(-0.1, [{"token": "two", "logprob": -0.1}, {"token": "2", "logprob": -3}])
SEEDS: Mapping[str, tuple[Any, ...]] = {
    "readyz": ({"status": "ready"},),
    "models": ({"object": "list", "data": [model(max_tokens=64), {"id": "n"}]}, ["m"]),
    "chat": (
        answer("two", LOGPROBS, usage={"completion_tokens": 1, "prompt_tokens": 9}, model="m"),
        answer("<think>so</think> Two, I think."),
        answer('{"answer": 2}', inarvl={"choice_probabilities": {"2": 0.9, "3": 0.1}}),
        answer([{"type": "text", "text": "yes"}], {"token_logprobs": [-0.1, -0.2]}),
        {"error": {"message": "no", "code": 402}},
    ),
    "error": (
        {"error": {"message": "quota exceeded", "code": "insufficient_quota", "param": "logprobs"}},
        {"detail": [{"loc": ["body", 1], "msg": "no"}]},
        {"error": {"message": "no", "metadata": {"raw": "max_tokens is not supported"}}},
    ),
}
KINDS = tuple(SEEDS)
STATUSES = (400, 401, 402, 403, 404, 408, 422, 429, 500, 503, 504)
HEADERS = (
    "compute;dur=12.5, queue;dur=1",
    "5",
    "\xb2",
    "nan",
    "1e999",
    "compute;dur=-1;dur=\xb2",
    ";;,=" * 50,
)
FIELDS: tuple[dict[str, Any], ...] = (
    {},
    *({"answer": kind} for kind in ("yes_no", "number", "short", "text", "json", "auto")),
    {"answer": "choice", "choices": ["one", "two"]},
    {"answer": "json", "schema": {"type": "object", "properties": {"answer": {"type": "integer"}}}},
)
FORMS = tuple(map(AnswerForm.from_fields, FIELDS))


def make(mutator: Mutator, rng: Random) -> bytes:
    """Returns the kind of the reply, the number of a form and of a status, a header, and a changed body."""
    kind = rng.choice((0, 1, 2, 2, 2, 3))
    head = bytes([kind, rng.randrange(len(FORMS)), rng.randrange(len(STATUSES))])
    header = (
        rng.choice(HEADERS) if rng.random() < 0.8 else mutator.change_text("compute;dur=1").replace("\n", "")
    )
    return (
        head
        + header.encode("latin-1", "replace")
        + b"\n"
        + mutator.change_json(rng.choice(SEEDS[KINDS[kind]]))
    )


class ScriptedConnection(Connection):
    """A connection whose next reply is set by hand."""

    status, header, content = 200, "", b""

    @asynccontextmanager
    async def _call(self, *_arguments: object, **_options: object) -> AsyncIterator[Any]:
        async def pieces() -> AsyncIterator[bytes]:
            yield self.content

        if self.status != 200:
            raise replies.read_error(URL, self.status, self.header, self.content)
        content = SimpleNamespace(iter_any=pieces)
        yield SimpleNamespace(headers={"Server-Timing": self.header}, content=content, url=URL)


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Passes replies through the client, the arms, the comparison of answers, and the controller."""
    connection, client = ScriptedConnection(URL, None), VlmClient(URL)
    client._connection = connection
    card = ModelCard("m", (64,))
    peer = Peer(PeerRecord(SERVER, URL), client, {"fuzz"}, Verdict((), ""), cards=(card,), healthy=True)
    registry = SimpleNamespace(
        get=lambda _id: peer,
        began=lambda _id: None,
        ended=lambda *_, **__: None,
        denied=lambda *_: None,
        probe_soon=lambda _id: None,
    )
    servers: Any = SimpleNamespace(registry=lambda _tier: registry, paths=Paths(), prompt=lambda *_: None)
    arms = Arms(servers, FixedEnergyMeter(), lambda *_: (64,), door=RaisingDoor("replies"))
    controller = Controller(ControllerSettings(), rng=np.random.default_rng(0))
    question, cloud, used = _question(), Arm("cloud", "m", 64, SERVER), 0

    async def ask(form: AnswerForm) -> None:
        asked = copy(question)
        asked.query = replace(question.query, form=form)
        attempt = await arms.ask(cloud, asked, max_tokens=8, timeout_s=5)
        context = Context(asked.signals, (Option(cloud, 100), Option(Arm("local", "b", 64, "board"))))
        decision = controller.decide(context, now=float(used))
        run = attempt.execution
        answered = Answered(asked, decision, (attempt,), 0, "")
        if run.failure is None:
            request: Any = SimpleNamespace(query=asked.query, arrived_at=0.0, resent=False, correlation=None)
            json.loads(answer_of(request, answered, decision_id="0" * 32, now=1.0).to_bytes())
            agreement(asked.query.question, form, attempt.text, "two")
        controller.learn(decision, Outcome((run,), 0 if run.failure is None else None), now=float(used))

    async def use(data: bytes) -> None:
        nonlocal used
        used += 1
        head, _, connection.content = data[3:].partition(b"\n")
        kind, form, status = (*data[:3], 0, 0, 0)[:3]
        connection.header = head.decode("latin-1")
        connection.status = STATUSES[status % len(STATUSES)] if KINDS[kind % 4] == "error" else 200
        with suppress(VlmError):
            if KINDS[kind % 4] == "readyz":
                await client.check_ready()
            elif KINDS[kind % 4] == "models":
                cards = await client.models()
                assert len(cards) <= 16
                assert len({card.id for card in cards}) == len(cards)
                assert all(len({*card.resolutions}) == len(card.resolutions) <= 16 for card in cards)
            else:
                await ask(FORMS[form % len(FORMS)])
                p_yes((await client.complete("?", None, model="m", max_tokens=1, timeout_s=5)).first_token)
        if used % 500 == 0:
            json.dumps(controller.snapshot(), allow_nan=False)

    yield use


def _question() -> Question:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    settings = Settings.model_validate({"device": "d"})
    query = Query("q", "how many cups are there?", file.getvalue())
    return QuestionReader(lambda: (64,), settings).read(query)


DOOR = FuzzDoor("replies", make, opened)
