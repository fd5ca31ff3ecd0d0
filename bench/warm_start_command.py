"""`inarvl-bench warm-start`: what a trace teaches of its models, for agents to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.knowledge import write_knowledge
from bench import trace as traces
from bench.policies.ours import settings_for
from bench.sim.dataset import prepare
from bench.sim.profile import JETSON_WAN
from bench.warm_start import knowledge_of
from inarvl.terminal import explained


def warm_start_command(
    trace: Annotated[Path, typer.Argument(help="A recorded trace (.csv.gz).", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="The file that a profile names as its warm_start (.json.gz).")],
) -> None:
    """Learn from a trace which questions each of its models answers as the best one of the cloud does."""
    with explained("inarvl-bench"):
        dataset = prepare(traces.read(trace), JETSON_WAN)  # whose times are not learned
        write_knowledge(out, knowledge_of(dataset, settings_for(dataset, JETSON_WAN)))
    typer.echo(
        f"{out}: {len(dataset)} questions, {len(dataset.arms)} arms, {out.stat().st_size / 1e3:.0f} kB"
    )
