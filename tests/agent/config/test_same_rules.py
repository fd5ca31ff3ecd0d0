"""A site file that `inarvl validate` accepts can be used, and its servers are known as it names them."""

from __future__ import annotations

from contextlib import suppress

import anyio
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.config.settings import Settings
from agent.peers.registry import PeerRegistry
from agent.peers.site_file import SiteServers

NAME = st.text(max_size=70) | st.text(alphabet="ab.-_ /#é", max_size=8)
URL = st.builds(
    "{}{}{}".format, st.sampled_from(["http://", "https://", "HTTP://", "unix:/", ""]), NAME, NAME
)
PEER = st.fixed_dictionaries(
    {"id": NAME, "url": URL, "allow_plaintext": st.just(True)},
    optional={"models": st.lists(NAME, max_size=3)},
)


@given(local=st.none() | URL, peers=st.lists(PEER, max_size=2))
def test_a_valid_site_file_can_be_applied(local: str | None, peers: list[dict[str, object]]) -> None:
    with suppress(ValidationError):
        site = {"device": "d", "local": local, "local_allow_plaintext": True, "peers": peers}
        settings = Settings.model_validate(site)
        board, cloud = anyio.run(applied, settings)
        assert len(board.known()) == (local is not None)
        assert [peer.record.id for peer in cloud.known()] == [peer["id"] for peer in peers]


async def applied(settings: Settings) -> tuple[PeerRegistry, PeerRegistry]:
    board, cloud = (PeerRegistry(rng=np.random.default_rng(0)) for _ in range(2))
    SiteServers(board, cloud).apply(settings)
    return board, cloud
