"""The table of `inarvl-vlm models`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.hub.catalogue import ENTRIES, Entry

HEADER = ("name", "licence", "NF4", "boards", "resolutions", "prompt", "")
NOTES = (
    "NF4 sizes and boards are computed from the number of weights, not measured. Bundled models know drawn "
    "scenes only.\nDownload and test one: inarvl-vlm pull NAME"
)


def models_table(is_downloaded: Callable[[str], bool]) -> str:
    """Returns the known and the bundled checkpoints as lines of text.

    Args:
        is_downloaded: whether a hub id is in the cache.
    """
    rows: list[tuple[str, ...]] = [HEADER]
    rows += [_known_row(entry, is_downloaded(entry.hub_id)) for entry in ENTRIES]
    rows += [_bundled_row(name) for name in bundled.names()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, "", NOTES])


def _known_row(entry: Entry, downloaded: bool) -> tuple[str, ...]:
    smallest_board = entry.boards[0] if entry.boards else "none"
    return (
        entry.hub_id,
        entry.licence,
        f"{entry.nf4_gb:.1f} GB",
        f"from {smallest_board}",
        _resolutions(entry.resolutions),
        entry.prompt,
        "downloaded" if downloaded else "",
    )


def _bundled_row(name: str) -> tuple[str, ...]:
    checkpoint = Checkpoint.at(f"bundled:{name}", "nf4")
    resolutions = checkpoint.notes().get("resolutions", ())
    return (f"bundled:{name}", "Apache-2.0", "<0.1 GB", "all", _resolutions(resolutions), "own", "bundled")


def _resolutions(resolutions: Sequence[int]) -> str:
    return ", ".join(str(resolution) for resolution in resolutions)
