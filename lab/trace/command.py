"""`inarvl-bench questions`, `record` and `merge`: make a trace."""

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
from lab.trace.energy_meter import EnergyMeter
from lab.trace.model_server import ServerSpec
from lab.trace.question_set import QuestionSet
from lab.trace.record_trace import RecordOptions, record_trace
from lab.trace.recording_progress import recording_display
from lab.trace.scene_questions import write_questions
from lab.trace.trace import Trace, merge_traces, read_trace, write_trace
from vlm.checkpoint import Quantization
from vlm.model_options import QuantizationChoice

NAMED = re.compile(r"([\w.-]+)=(.+)")


def questions_command(
    folder: Annotated[Path, typer.Argument(help="Folder for the images and questions.csv.")],
    count: Annotated[int, typer.Option(min=1, help="Number of questions, equally many of each type.")] = 6600,
    per_image: Annotated[int, typer.Option(min=1, help="Maximum number of questions about one image.")] = 6,
    split: Annotated[int, typer.Option(min=2, help="Seed of the scenes; models train on split 1.")] = 3,
) -> None:
    """Draw scenes and write questions about them."""
    with explained("inarvl-bench"):
        for _ in track(
            write_questions(folder, count, per_image, split), "Drawing", console=Console(stderr=True)
        ):
            pass


def record_command(
    questions: Annotated[
        Path, typer.Argument(help="A CSV file with image, question, answer; or its folder.")
    ],
    out: Annotated[Path, typer.Option(help="The trace to write, such as trace.csv.gz.")],
    local: Annotated[
        list[str] | None,
        typer.Option(help="[NAME=]checkpoint or address (unix:, http:) of a model on the board; repeatable."),
    ] = None,
    cloud: Annotated[
        list[str] | None,
        typer.Option(help="[NAME=]checkpoint or address of a model in the cloud; repeatable."),
    ] = None,
    local_quantization: Annotated[
        QuantizationChoice, typer.Option(help="Quantization of the board's models.")
    ] = QuantizationChoice.nf4,
    cloud_quantization: Annotated[
        QuantizationChoice, typer.Option(help="Quantization of the cloud's models.")
    ] = QuantizationChoice.none,
    profile: Annotated[
        str, typer.Option(help="Profile that models the energy: name or file.")
    ] = "generic-x86",
    resolution: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Resolution for every model; repeatable. Default: each model's own."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Maximum of output tokens per answer.")] = 16,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Maximum duration of a call.")] = 120,
    jobs: Annotated[
        int, typer.Option(min=1, help="Servers asked at the same time; more than one disturb the latencies.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of each server that is started.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Number of questions to ask, from the first. Default: all.")
    ] = None,
    measure_energy: Annotated[
        bool,
        typer.Option(
            "--measure-energy", help="Measure the energy of local answers with the processor's counters."
        ),
    ] = False,
) -> None:
    """Ask every model every question at every resolution.

    An interrupted recording continues when the same command is run again.
    """
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
            meter=EnergyMeter.calibrated(Rapl()) if measure_energy else None,
        )
        # SIGTERM then ends the recording like Ctrl-C, which also stops the servers that were started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        unfinished = out.with_name(f"{out.name}.unfinished")
        with recording_display() as report:

            async def run() -> Trace:
                return await record_trace(asked, servers, options, folder=unfinished, report=report)

            recorded = anyio.run(run)
        write_trace(out, recorded)
        shutil.rmtree(unfinished)
        refused = sum(run is None for runs in recorded.runs.values() for run in runs)
        typer.echo(
            f"{out}: {len(recorded.questions)} questions, {len(recorded.runs)} arms"
            + (f"; {refused} times a server refused a question" if refused else "")
        )


def merge_command(
    parts: Annotated[list[Path], typer.Argument(help="Traces of the same questions with different arms.")],
    out: Annotated[Path, typer.Option(help="The trace to write.")],
) -> None:
    """Merge traces of the same questions with different arms."""
    with explained("inarvl-bench"):
        write_trace(out, merge_traces([read_trace(part) for part in parts]))


def _servers(
    tier: Tier, sources: list[str] | None, quantization: Quantization, threads: int | None
) -> list[ServerSpec]:
    servers = []
    for argument in sources or ():
        named = NAMED.fullmatch(argument)
        name, source = named.groups() if named else (None, argument)
        servers.append(ServerSpec(tier, source, quantization, name, threads))
    return servers
