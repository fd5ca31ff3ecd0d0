"""The question of `inarvl ask` and `inarvl route`: images from files or standard input, and its options."""

from __future__ import annotations

import base64
import os
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from agent.messages.query import Query
from agent.messages.reply import Refusal
from inarvl.printable import printable

STDIN: Final = Path("-")
REPLY_MARGIN_S: Final = 2.0  # after the deadline, for the reply to arrive

Images = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGE",
        help="Image files, or - for standard input: JPEG, PNG, WebP, AVIF, or HEIC with pillow-heif.",
    ),
]
Words = Annotated[str, typer.Argument(metavar="QUESTION", help="The question, as the last argument.")]
Pin = Annotated[str | None, typer.Option(help="local or cloud: the only tier that may answer.")]
Deadline = Annotated[
    float, typer.Option("--deadline", "--timeout-s", min=0.1, help="Seconds in which the answer is useful.")
]


def query_of(images: list[Path], question: str, deadline_s: float, **fields: Any) -> Query:
    """Returns the query of a command's arguments.

    Args:
        fields: more fields of the query; those that are None are omitted.

    Raises:
        BadParameter: the question is missing, or an image cannot be read.
        BadQuery: a field is invalid.
    """
    if os.path.isfile(question):  # noqa: PTH113 # a long question is no error here, but is one of Path
        raise typer.BadParameter(f"{question} is a file: write the question as the last argument")
    if images.count(STDIN) > 1:
        raise typer.BadParameter("standard input has one image: use - once")
    given = {
        "images": [base64.b64encode(_content(image)).decode() for image in images],
        "question": question,
        "client": f"ask-{uuid.uuid4().hex[:12]}",
        "deadline_ms": deadline_s * 1e3,
        **fields,
    }
    return Query.from_fields({name: value for name, value in given.items() if value is not None})


def fail(refusal: Refusal) -> NoReturn:
    """Prints why there is no answer, and exits with status 1."""
    typer.secho(f"inarvl: {printable(refusal.code)}: {printable(refusal.message)}", err=True, fg="red")
    raise typer.Exit(1)


def _content(image: Path) -> bytes:
    try:
        content = sys.stdin.buffer.read() if image == STDIN else image.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{image} cannot be read ({error.strerror})") from None
    if not content:
        raise typer.BadParameter(f"{'standard input' if image == STDIN else image} is empty: send an image")
    return content
