"""What a call of an arm would meet."""

import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from agent.answering.arms import Arms
from agent.forms.form import AnswerForm
from agent.messages.images import Mask
from agent.peers.access import Access
from agent.peers.peer import MODEL_REST_S
from agent.peers.registry import PeerRegistry
from agent.spending.cost import Bill
from cloud.peer import PeerRecord
from controller import Arm
from lab.rig.fixed_energy import FixedEnergyMeter
from vlm.completion import ModelCard

pytestmark = pytest.mark.anyio


class Question:
    """A question about one image."""

    query = SimpleNamespace(
        sources=("image",), question="What is it?", form=AnswerForm(), client="camera", pin=None, arm=None
    )
    prompt = "What is it?"
    verified = False
    max_tokens = 8
    bill = Bill()

    def payload_bytes(self, _resolution: int, _mask: Mask) -> int:
        return 4

    async def images(self, _resolution: int, _mask: Mask) -> tuple[bytes, ...]:
        return (b"jpeg",)

    def input_tokens(self, _resolution: int) -> int:
        return 100


async def test_requests_of_other_clients_wait_before_a_call() -> None:
    registries = {tier: PeerRegistry(rng=np.random.default_rng(0)) for tier in ("local", "cloud")}
    registries["local"].offer(PeerRecord("board", "unix:/run/vlm.sock"), source="site", access=Access())
    peer = registries["local"].known()[0]
    peer.cards, peer.healthy, peer.other_requests = (ModelCard("m"),), True, 2
    servers: Any = SimpleNamespace(registry=registries.get, prompt=lambda *_: None, vouched=lambda *_: False)
    arms = Arms(servers, cast(Any, None), resolutions=lambda _tier, _card: (448,))
    assert [option.queue for option in arms.options(cast(Any, Question()))] == [2]
    peer.other_requests = 0
    assert [option.queue for option in arms.options(cast(Any, Question()))] == [0]


@pytest.mark.parametrize(
    ("named", "possible"),
    [
        (None, ["m@64", "m@448", "n@64", "n@448"]),
        ("local/m", ["m@64", "m@448"]),
        ("local/m@64", ["m@64"]),
        ("local/n@448#board", ["n@448"]),
        ("local/n@448#other", []),
    ],
)
async def test_a_query_may_be_pinned_to_arms(named: str | None, possible: list[str]) -> None:
    registries = {tier: PeerRegistry(rng=np.random.default_rng(0)) for tier in ("local", "cloud")}
    registries["local"].offer(PeerRecord("board", "unix:/run/vlm.sock"), source="site", access=Access())
    peer = registries["local"].known()[0]
    peer.cards, peer.healthy = (ModelCard("m"), ModelCard("n")), True
    servers: Any = SimpleNamespace(registry=registries.get, prompt=lambda *_: None, vouched=lambda *_: False)
    arms = Arms(servers, cast(Any, None), resolutions=lambda _tier, _card: (64, 448))
    question: Any = Question()
    question.query = SimpleNamespace(**{**vars(Question.query), "arm": named})
    options = arms.options(question)
    allowed = [f"{option.arm.model}@{option.arm.resolution}" for option in options if option.blocked is None]
    assert allowed == possible
    assert {option.blocked for option in options} <= {None, f"the query is pinned to {named}"}


async def test_a_refused_model_is_asked_again_after_its_rest() -> None:
    cloud = PeerRegistry(rng=np.random.default_rng(0))
    cloud.offer(PeerRecord("p", "unix:/nowhere/vlm.sock"), source="site", access=Access())
    peer = cloud.known()[0]
    peer.cards, peer.healthy = (ModelCard("m"),), True
    registries = {"local": PeerRegistry(rng=np.random.default_rng(0)), "cloud": cloud}
    servers: Any = SimpleNamespace(
        registry=registries.__getitem__, prompt=lambda *_: None, vouched=lambda *_: False
    )
    arms = Arms(servers, FixedEnergyMeter(), resolutions=lambda _tier, _card: (448,))
    arm = Arm("cloud", "m", 448, "p")

    async def failure() -> str | None:
        attempt = await arms.ask(arm, cast(Any, Question()), max_tokens=8, timeout_s=5.0)
        return attempt.execution.failure

    cloud.denied("p", "m", "no permission for this model")
    assert (arms.available(), await failure()) == ((), "gone")
    peer.deny("m", clock=lambda: time.monotonic() - MODEL_REST_S)
    assert (arms.available(), await failure()) == ((arm,), "vlm_unavailable")
    peer.healthy = True
    cloud.denied("p", "m", "still no permission")
    assert (arms.available(), await failure()) == ((), "gone")
    await peer.client.aclose()
