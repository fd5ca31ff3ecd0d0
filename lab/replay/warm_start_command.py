"""`inarvl-bench warm-start`: writes what a controller learns from a trace, as a warm start for agents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.profile.warm_start import write_warm_start
from inarvl.terminal import explained
from lab.policies.inarvl import settings_for
from lab.replay.warm_start import knowledge_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import prepare
from lab.trace.trace import read_trace


def warm_start_command(
    trace: Annotated[Path, typer.Argument(help="A recorded trace (.csv.gz).", exists=True, dir_okay=False)],
    out: Annotated[
        Path, typer.Option(help="File to write; a profile names it as its warm_start (.json.gz).")
    ],
) -> None:
    """Learn from a trace for which questions each model gives the same answer as the best cloud model."""
    with explained("inarvl-bench"):
        dataset = prepare(read_trace(trace), JETSON_WAN)  # the profile's times are not learned
        write_warm_start(out, knowledge_of(dataset, settings_for(dataset, JETSON_WAN)))
    typer.echo(
        f"{out}: {len(dataset)} questions, {len(dataset.arms)} arms, {out.stat().st_size / 1e3:.0f} kB"
    )
