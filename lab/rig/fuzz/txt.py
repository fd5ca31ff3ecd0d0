"""TXT records of zeroconf services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from zeroconf.asyncio import AsyncServiceInfo

from cloud.peer import SERVICE, BadPeerRecord, PeerRecord
from lab.rig.fuzz.fuzz_door import FuzzDoor, Use
from lab.rig.fuzz.mutation import Mutator

RECORD = PeerRecord("p", "https://10.0.0.1:8020", ("small", "large"), version="1.2")


def make(mutator: Mutator, rng: Random) -> bytes:
    """Returns the strings of a TXT record (RFC 6763), some of them changed."""
    pairs = [f"{key}={value}".encode() for key, value in RECORD.to_txt().items()]
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(pairs))
        key, _, value = pairs[place].partition(b"=")
        pairs[place] = (
            key + b"=" + mutator.change_text(value.decode("utf-8", "replace")).encode("utf-8", "replace")
        )
    data = b"".join(bytes([min(len(pair), 255)]) + pair[:255] for pair in pairs)
    return mutator.change_bytes(data) if rng.random() < 0.4 else data


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Reads the properties as the agent does."""

    async def use(data: bytes) -> None:
        info = AsyncServiceInfo(SERVICE, f"p.{SERVICE}", port=8020, properties=data)
        txt = {key: value or "" for key, value in info.decoded_properties.items()}
        with suppress(BadPeerRecord):
            PeerRecord.from_txt(txt, "10.0.0.1", 8020).to_bytes()

    yield use


DOOR = FuzzDoor("txt", make, opened)
