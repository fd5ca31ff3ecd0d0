"""A few hundred inputs per door find nothing; a planted fault is found, and its input is made small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from lab.cli import app
from lab.rig.fuzz import command
from lab.rig.fuzz.command import DOORS
from lab.rig.fuzz.fuzz_door import FuzzDoor, Use, fuzz

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def faulty() -> AsyncIterator[Use]:
    async def use(data: bytes) -> None:
        if b"[[[" in data:
            raise ZeroDivisionError

    yield use


FAULTY = FuzzDoor("faulty", lambda mutator, rng: mutator.change_json({"a": ["b", "c"]}), faulty)


@pytest.mark.parametrize("name", DOORS)
async def test_a_door_has_no_finding(name: str) -> None:
    result = await fuzz(DOORS[name], 100, seed=0)
    assert result.inputs == 100
    assert not result.findings, [finding.trace for finding in result.findings.values()]


async def test_a_fault_is_found_and_its_input_is_made_small() -> None:
    result = await fuzz(FAULTY, 2000, seed=0)
    (finding,) = result.findings.values()
    assert "ZeroDivisionError at tests/lab/rig/test_fuzz.py" in finding.place
    assert finding.example == b"[[["


async def test_the_same_seed_makes_the_same_inputs() -> None:
    seen: list[list[bytes]] = []
    for _ in range(2):
        inputs: list[bytes] = []
        seen.append(inputs)

        @asynccontextmanager
        async def recorded(inputs: list[bytes] = inputs) -> AsyncIterator[Use]:
            async def use(data: bytes) -> None:
                inputs.append(data)

            yield use

        await fuzz(FuzzDoor("recorded", FAULTY.make, recorded), 50, seed=7)
    assert seen[0] == seen[1]


def test_the_exit_status_is_1_if_there_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "DOORS", {"faulty": FAULTY})
    monkeypatch.setattr(command.logging, "disable", lambda _level: None)
    ran = CliRunner().invoke(app, ["fuzz", "faulty", "--count", "2000"])
    assert ran.exit_code == 1
    assert "smallest input, 3 bytes: b'[[['" in ran.output
    assert CliRunner().invoke(app, ["fuzz", "faulty", "--count", "1"]).exit_code == 0
