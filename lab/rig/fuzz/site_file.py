"""Site files."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import numpy as np
import yaml

from agent.config.settings import Settings
from agent.config.yaml_file import ConfigError, load
from agent.peers.registry import PeerRegistry
from agent.peers.site_file import SiteServers
from lab.rig.fuzz.fuzz_door import FuzzDoor, Use
from lab.rig.fuzz.mutation import Mutator

SEED = b"""device: gate-3
broker: {url: 'mqtts://broker:8883', username: gate, protocol: auto, keepalive_s: 30}
profile: auto
local: unix:/run/inarvl/vlm.sock
peers:
  - {id: gpu-1, url: 'http://10.0.0.2:8020/v1', allow_plaintext: true, models: [small], prompt: be kind}
  - &other {id: gpu-2, url: 'https://host', models: []}
prompt: The camera looks at the gate.
discovery: {zeroconf: true, mqtt: false, trust: {fingerprints: [], allow_plaintext: true}}
probing: {metered: false, sight: true, upload_bytes: 1024, upload_every_s: 60.5}
metrics: 127.0.0.1:9100
image_roots: [/srv/images]
intake: {max_payload_bytes: 8388608, max_waiting: 256, workers: 8, max_tokens: 64}
"""
MAX_BYTES = 20_000  # PyYAML needs seconds for more; a site file is no remote input
WORDS = (
    "*other",
    "&a [*a]",
    "!!int x",
    "!!python/object:os.system x",
    "2026-99-99",
    "1e999",
    ".nan",
    "? [a]",
    "<<: *other",
)


def make(mutator: Mutator, rng: Random) -> bytes:
    """Returns a changed file: its bytes, a line, or its values."""
    kind = rng.random()
    if kind < 0.4:
        return mutator.change_bytes(SEED)
    if kind < 0.6:
        lines = SEED.splitlines()
        place = rng.randrange(len(lines))
        key = lines[place].partition(b":")[0]
        lines[place] = key + b": " + rng.choice(WORDS).encode()
        return b"\n".join(lines)
    return mutator.change_json(yaml.safe_load(SEED))  # JSON is YAML, for the most part


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Reads files as `inarvl validate` does, and offers the servers of a valid one as the agent does."""
    with tempfile.TemporaryDirectory(prefix="inarvl-fuzz-", dir=_memory()) as folder:
        path = Path(folder) / "agent.yaml"

        async def use(data: bytes) -> None:
            path.write_bytes(data[:MAX_BYTES])
            try:
                settings = load(path, Settings)
            except ConfigError:
                return
            assert settings.broker.port
            assert settings.metrics is None or settings.metrics.listen
            if not settings.secret_files:
                registries = [PeerRegistry(rng=np.random.default_rng(0)) for _ in range(2)]
                SiteServers(*registries).apply(settings)

        yield use


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # a folder of its own is made in it


DOOR = FuzzDoor("site-file", make, opened)
