"""The options of commands that serve models: which ones, and how they compute."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer

from vlm.checkpoint import Checkpoint, Quantization


class QuantizationChoice(str, Enum):
    """Values of --quantization."""

    nf4 = "nf4"
    int8 = "int8"
    none = "none"


class DeviceChoice(str, Enum):
    """Values of --device."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Models = Annotated[
    list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeat for several models.")
]
MaxTokens = Annotated[
    int, typer.Option(min=1, help="Maximum output tokens per answer; a request for more gets these.")
]
Queue = Annotated[
    int, typer.Option(min=1, help="Requests that may wait in a server; more are refused as busy.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of a server; by default torch chooses.")
]
Batch = Annotated[int, typer.Option(min=1, help="Maximum requests that are answered in one batch.")]
BatchWaitMs = Annotated[
    float, typer.Option(min=0, help="Milliseconds that an idle server waits to fill a batch.")
]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]
Quantize = Annotated[QuantizationChoice, typer.Option(help="Format of the weights in memory.")]
Compute = Annotated[DeviceChoice, typer.Option(help="Device that computes.")]
Sha256 = Annotated[
    list[str] | None,
    typer.Option(help="Digest that the files of a model must have; one per --model, in the same order."),
]
Revision = Annotated[
    list[str] | None,
    typer.Option(help="Hash of the commit of a hub id; one per --model, in the same order."),
]


def pinned_checkpoints(
    sources: list[str],
    names: list[str] | None,
    quantization: Quantization,
    sha256: list[str] | None,
    revisions: list[str] | None,
) -> tuple[Checkpoint, ...]:
    """Returns the checkpoints that the options of a server name.

    Raises:
        ModelLoadError: a checkpoint does not exist, or a pin has another form.
        typer.BadParameter: the options have different numbers of values.
    """
    columns: list[Sequence[str | None]] = []
    for option, values in (("--name", names), ("--sha256", sha256), ("--revision", revisions)):
        if values and len(values) != len(sources):
            raise typer.BadParameter(
                f"{len(sources)} --model and {len(values)} {option}: give one {option} per --model, or none"
            )
        columns.append(values or [None] * len(sources))
    return tuple(
        Checkpoint.at(source, quantization, name, sha256=digest, revision=commit)
        for source, name, digest, commit in zip(sources, *columns, strict=True)
    )
