"""A recording plays without scripts, and shows its last screen where nothing plays."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from lab.documents.recording import svg

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "docs" / "pictures" / "demo.svg"
SVG = "{http://www.w3.org/2000/svg}"


def groups(text: str) -> list[tuple[str, str, dict[str, str]]]:
    """Of each line that is shown: its text, its visibility without animation, and when that changes."""
    return [
        (
            "".join(part.text or "" for part in group.iter(f"{SVG}text")),
            group.attrib["visibility"],
            next(group.iter(f"{SVG}set")).attrib,
        )
        for group in ElementTree.fromstring(text).iter(f"{SVG}g")
    ]


def test_a_line_is_shown_while_it_was_on_the_screen() -> None:
    first, second = ((0, "loading <1>", "green", False),), ((0, "ready", "default", True),)
    shown = groups(svg([(0.0, [first]), (1.0, [first]), (2.5, [second])], "demo"))
    assert [(text, rest) for text, rest, _ in shown] == [("loading <1>", "hidden"), ("ready", "visible")]
    assert (shown[0][2]["begin"], shown[0][2]["end"]) == ("run.begin+0.00s", "run.begin+2.50s")
    assert (shown[1][2]["to"], shown[1][2]["end"]) == ("hidden", "run.begin+2.50s")


def test_the_recording_in_the_readme_is_small_complete_and_needs_no_other_host() -> None:
    text = DEMO.read_text()
    assert DEMO.name in (ROOT / "README.md").read_text()
    assert len(text) < 300_000
    assert set(re.findall(r"://([^/\"<:]+)", text)) <= {"www.w3.org", "127.0.0.1"}, (
        "the name of SVG, and the page"
    )
    assert not re.search(r"(href|src)=|url\(|@import", text)
    last = [line for line, rest, _ in groups(text) if rest == "visible"]
    assert any(" answered, " in line and "(modelled)" in line for line in last)
