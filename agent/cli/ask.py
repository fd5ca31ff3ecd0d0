"""`inarvl ask`."""

from __future__ import annotations

import base64
import uuid
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agent import client
from agent.cli.options import Config
from agent.config.settings import site_settings
from agent.messages.query import Query
from agent.messages.reply import Answer
from inarvl.printable import LINE_BREAKS, printable
from inarvl.terminal import explained

PLACES = {"local": "on the board", "cloud": "in the cloud"}
COLOURS = {"warning": "yellow"}
REPLY_MARGIN_S = 2.0  # after the deadline, for the reply to arrive


def ask(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            exists=True,
            dir_okay=False,
            help="Image files: JPEG, PNG, WebP, AVIF, or HEIC with pillow-heif.",
        ),
    ],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question, as the last argument.")],
    pin: Annotated[str | None, typer.Option(help="local or cloud: the only tier that may answer.")] = None,
    answer: Annotated[
        str | None, typer.Option(help="The form of the answer: yes_no, number, choice, short, text or json.")
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="For --answer choice: the possible answers, between commas.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Deadline of the answer in seconds.")] = 30.0,
    config: Config = None,
) -> None:
    """Ask the running agent one question about an image, or about several."""
    if Path(question).is_file():
        raise typer.BadParameter(f"{question} is a file: write the question as the last argument")
    with explained("inarvl"):
        fields = {
            "images": [base64.b64encode(image.read_bytes()).decode() for image in images],
            "question": question,
            "client": f"ask-{uuid.uuid4().hex[:12]}",
            "deadline_ms": timeout_s * 1e3,
            "pin": pin,
            "answer": answer,
            "choices": choices,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        query = Query.from_fields(given)
        settings = site_settings(config)
        reply = anyio.run(partial(client.ask, settings, query, timeout_s=timeout_s + REPLY_MARGIN_S))
    if not isinstance(reply, Answer):
        typer.secho(f"inarvl: {printable(reply.code)}: {printable(reply.message)}", err=True, fg="red")
        raise typer.Exit(1)
    typer.echo(printable(reply.answer, keep=LINE_BREAKS))
    for name, text in _details(reply).items():
        typer.secho(f"  {name:11} {printable(text)}", err=True, dim=name != "warning", fg=COLOURS.get(name))


def _details(answer: Answer) -> dict[str, str]:
    """Returns what is printed below the answer, by name."""
    details = {} if answer.confidence is None else {"confidence": f"{answer.confidence:.0%}"}
    details["answered"] = (
        f"{PLACES.get(answer.tier, answer.tier)} by {answer.model}, after {answer.latency_ms:.0f} ms"
    )
    if answer.energy_j is not None:
        details["energy"] = f"{answer.energy_j:.2f} J, {answer.energy_source}"
    details["reason"] = answer.reason
    if answer.warning is not None:
        details["warning"] = answer.warning
    return details
