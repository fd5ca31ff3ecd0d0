"""Records a command in a terminal as an animated SVG: `python lab/documents/recording.py FILE COMMAND...`.

The terminal is emulated by pyte, which scripts/docs installs. The picture has no script and no font from
elsewhere. Until the first line that begins with START, while programs load, it runs SPEED times as fast.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

COLUMNS, ROWS = 124, 24
CELL, LINE, MARGIN = 7.2, 17, 14
START, SPEED, PAUSE_S, FRAME_S = "question", 8.0, 5.0, 0.25
COLOURS = {"red": "#e0707a", "green": "#7dc98a", "brown": "#d9b36a", "cyan": "#6cc0c9", "blue": "#7fa7e6"}
STYLE = "text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #d6dbe1 }"
WORDS = re.compile(r"\S+(?: \S+)*")
Row = tuple[tuple[int, str, str, bool], ...]
"""Parts of a row: column, text, colour, bold."""


def output_of(command: Sequence[str]) -> Iterator[tuple[float, str]]:
    """Runs a command in a terminal, and returns each part of its output with its time in seconds."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execvp(command[0], list(command))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    started = time.monotonic()
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the command has ended
            return
        yield time.monotonic() - started, data.decode(errors="replace")


def frames(output: Iterator[tuple[float, str]]) -> Iterator[tuple[float, list[Row]]]:
    """Returns the screen every FRAME_S and at the end, at the time at which it is shown."""
    import pyte

    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    started: float | None = None
    shown = 0.0
    rows: list[Row] = [()] * ROWS
    for now, text in output:
        stream.feed(text)
        if started is None and any(line.startswith(START) for line in screen.display):
            started = now
        loading = now if started is None else started
        at = loading / SPEED + now - loading
        if at > shown + FRAME_S:
            yield at, rows
            shown = at
        rows = [_row(screen.buffer[number]) for number in range(ROWS)]
    yield shown + FRAME_S, rows


def _row(line: Mapping[int, Any]) -> Row:
    cells = [(column, line[column]) for column in range(COLUMNS)]
    parts = []
    for (colour, bold), group in groupby(cells, lambda cell: (cell[1].fg, cell[1].bold)):
        of_part = list(group)
        text = "".join(cell.data for _, cell in of_part)
        for words in WORDS.finditer(text):  # each column of a table at its place, whatever the font
            parts.append((of_part[0][0] + words.start(), words[0], colour, bold))
    return tuple(parts)


def svg(shown: Sequence[tuple[float, list[Row]]], title: str) -> str:
    """Returns the animation, which begins again after its end."""
    end = shown[-1][0] + PAUSE_S
    rows = max(number for _, screen in shown for number, row in enumerate(screen) if row) + 1
    width, height = round(COLUMNS * CELL + 2 * MARGIN), rows * LINE + 2 * MARGIN
    lines = []
    for number in range(rows):
        changes = [(at, screen[number]) for at, screen in shown]
        starts = [
            change for place, change in enumerate(changes) if not place or change[1] != changes[place - 1][1]
        ]
        for (begin, row), (until, _) in zip(starts, [*starts[1:], (end, ())], strict=True):
            if row:
                lines.append(_line(row, MARGIN + (number + 1) * LINE - 4, begin, until, is_last=until == end))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f25"/>',
            f'<rect><animate id="run" attributeName="x" begin="0s;run.end" dur="{end:.1f}s"/></rect>',
            *lines,
            "</svg>\n",
        )
    )


def _line(row: Row, y: int, begin: float, until: float, *, is_last: bool) -> str:
    texts = "".join(
        f'<text x="{MARGIN + column * CELL:.1f}" y="{y}" textLength="{len(text) * CELL:.1f}"'
        + (f' style="fill: {COLOURS[colour]}"' if colour in COLOURS else "")
        + (' font-weight="bold"' if bold else "")
        + f">{escape(text)}</text>"
        for column, text, colour, bold in row
    )
    # A viewer without animation shows the last screen.
    rest, change, start, stop = (
        ("visible", "hidden", "", f"+{begin:.2f}s")
        if is_last
        else ("hidden", "visible", f"+{begin:.2f}s", f"+{until:.2f}s")
    )
    shows = f'<set attributeName="visibility" to="{change}" begin="run.begin{start}" end="run.begin{stop}"/>'
    return f'<g visibility="{rest}">{texts}{shows}</g>'


if __name__ == "__main__":
    recorded = list(frames(output_of(sys.argv[2:])))
    Path(sys.argv[1]).write_text(svg(recorded, " ".join(Path(word).name for word in sys.argv[2:])))
