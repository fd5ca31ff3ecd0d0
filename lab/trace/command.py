"""`inarvl-bench questions`, `record` and `merge`: how a trace comes to be."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.progress import track

from agent.profile.loading import load_profile
from agent.sensing.rapl import Rapl
from controller.arm import Tier
from inarvl.terminal import explained
from lab.trace import trace as traces
from lab.trace.energy_meter import Meter
from lab.trace.model_server import ServerSpec
from lab.trace.question_set import QuestionSet
from lab.trace.record_trace import RecordOptions, record
from lab.trace.recording_progress import recording_display
from lab.trace.scene_questions import write_questions
from vlm.checkpoint import Quantization
from vlm.cli import QuantizationChoice

NAMED = re.compile(r"([\w.-]+)=(.+)")


def questions_command(
    folder: Annotated[Path, typer.Argument(help="Where images and questions.csv are put.")],
    count: Annotated[int, typer.Option(min=1, help="How many questions, as many of each type.")] = 6600,
    per_image: Annotated[int, typer.Option(min=1, help="Most questions about one image.")] = 6,
    split: Annotated[int, typer.Option(min=2, help="Which world of scenes; 1 is what models train on.")] = 3,
) -> None:
    """Draw scenes and ask about them."""
    with explained("inarvl-bench"):
        for _ in track(
            write_questions(folder, count, per_image, split), "Drawing", console=Console(stderr=True)
        ):
            pass


def record_command(
    questions: Annotated[Path, typer.Argument(help="A CSV with image, question, answer; or its folder.")],
    out: Annotated[Path, typer.Option(help="The trace, such as trace.csv.gz.")],
    local: Annotated[
        list[str] | None,
        typer.Option(help="[NAME=]checkpoint or address (unix:, http:) of a model on the board; repeatable."),
    ] = None,
    cloud: Annotated[list[str] | None, typer.Option(help="The same in the cloud; repeatable.")] = None,
    local_quantization: Annotated[
        QuantizationChoice, typer.Option(help="How weights on the board are held.")
    ] = QuantizationChoice.nf4,
    cloud_quantization: Annotated[
        QuantizationChoice, typer.Option(help="How weights in the cloud are held.")
    ] = QuantizationChoice.none,
    profile: Annotated[str, typer.Option(help="Prices the energy, by name or file.")] = "generic-x86",
    resolution: Annotated[
        list[int] | None, typer.Option(min=0, help="Try every model at it; repeatable. Else its own.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most output tokens per answer.")] = 16,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="How long an answer may take.")] = 120,
    jobs: Annotated[
        int, typer.Option(min=1, help="Servers asked at once; more than one disturbs the latencies.")
    ] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of each server started.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask the first so many questions only.")] = None,
    measure_energy: Annotated[
        bool, typer.Option("--measure-energy", help="Read the processor's own counters for local answers.")
    ] = False,
) -> None:
    """Ask every model every question at every resolution. An interrupted recording goes on when run again."""
    with explained("inarvl-bench"):
        servers = [
            *_servers("local", local, local_quantization.value, threads),
            *_servers("cloud", cloud, cloud_quantization.value, threads),
        ]
        if not servers:
            raise typer.BadParameter("name at least one model, with --local or --cloud")
        asked = QuestionSet.from_csv(questions).first(limit)
        options = RecordOptions(
            profile=load_profile(profile),
            resolutions=tuple(resolution or ()),
            max_tokens=max_tokens,
            timeout_s=timeout_s,
            jobs=jobs,
            meter=Meter.settled(Rapl()) if measure_energy else None,
        )
        # As Ctrl-C does, so that the servers that were started end too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        unfinished = out.with_name(f"{out.name}.unfinished")
        with recording_display() as report:

            async def run() -> traces.Trace:
                return await record(asked, servers, options, folder=unfinished, report=report)

            recorded = anyio.run(run)
        traces.write(out, recorded)
        shutil.rmtree(unfinished)
        refused = sum(run is None for runs in recorded.runs.values() for run in runs)
        typer.echo(
            f"{out}: {len(recorded.questions)} questions, {len(recorded.runs)} arms"
            + (f"; {refused} times a server refused to answer" if refused else "")
        )


def merge_command(
    parts: Annotated[list[Path], typer.Argument(help="Traces of the same questions by different arms.")],
    out: Annotated[Path, typer.Option(help="The trace to write.")],
) -> None:
    """Join traces of the same questions, recorded on the board and elsewhere."""
    with explained("inarvl-bench"):
        traces.write(out, traces.merged([traces.read(part) for part in parts]))


def _servers(
    tier: Tier, sources: list[str] | None, quantization: Quantization, threads: int | None
) -> list[ServerSpec]:
    servers = []
    for given in sources or ():
        named = NAMED.fullmatch(given)
        name, source = named.groups() if named else (None, given)
        servers.append(ServerSpec(tier, source, quantization, name, threads))
    return servers
