"""`inarvl ask`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agent import client
from agent.cli.figures import amount, milliseconds, percent
from agent.cli.options import Config, Json
from agent.cli.question import REPLY_MARGIN_S, Deadline, Images, Pin, Words, fail, query_of
from agent.config.settings import site_settings
from agent.messages.reply import Answer
from inarvl.printable import LINE_BREAKS, printable
from inarvl.terminal import explained, print_json

PLACES = {"local": "on the board", "cloud": "in the cloud"}
COLOURS = {"warning": "yellow"}


def ask(
    images: Images,
    question: Words,
    pin: Pin = None,
    answer: Annotated[
        str | None, typer.Option(help="The form of the answer: yes_no, number, choice, short, text or json.")
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="For --answer choice: the possible answers, between commas.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="For --answer json: a file with a JSON schema."),
    ] = None,
    deadline: Deadline = 30.0,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask the running agent one question about an image, or about several.

    The exit status is 0 for an answer, 1 for an error in its place, and 2 for wrong use.
    """
    with explained("inarvl"):
        query = query_of(
            images,
            question,
            deadline,
            pin=pin,
            answer=answer,
            choices=choices,
            schema=None if schema is None else schema.read_text(errors="replace"),
        )
        settings = site_settings(config)
        reply = anyio.run(partial(client.ask, settings, query, timeout_s=deadline + REPLY_MARGIN_S))
    if as_json:
        print_json(json.loads(reply.to_bytes()))
    if not isinstance(reply, Answer):
        fail(reply)
    if as_json:
        return
    typer.echo(printable(reply.answer, keep=LINE_BREAKS))
    for name, text in _details(reply).items():
        typer.secho(f"  {name:11} {printable(text)}", err=True, dim=name != "warning", fg=COLOURS.get(name))


def _details(answer: Answer) -> dict[str, str]:
    """Returns what is printed below the answer, by name."""
    details = {} if answer.confidence is None else {"confidence": percent(answer.confidence)}
    place = PLACES.get(answer.tier, answer.tier)
    details["answered"] = f"{place} by {answer.model}, after {milliseconds(answer.latency_ms)}"
    if answer.energy_j is not None:
        details["energy"] = f"{amount(answer.energy_j, 'J')}, {answer.energy_source or 'of unknown source'}"
    details["reason"] = answer.reason
    if answer.warning is not None:
        details["warning"] = answer.warning
    return details
