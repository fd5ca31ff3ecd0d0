"""Pretrained checkpoints that fit the boards, by their hub id.

Licence and number of weights are as published. Sizes and boards are computed from them, not measured: see
`Entry.nf4_gb` and `Entry.boards`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from vlm.errors import ModelLoadError

BOARDS = {"Orin Nano 8 GB": 8, "Orin NX 16 GB": 16, "AGX Orin 64 GB": 64, "Thor 128 GB": 128}
"""Memory in GB, smallest board first."""

NF4_BYTES = 0.516
"""Bytes per weight: 4 bits, and 0.127 bits for scales that are quantized too (QLoRA, arXiv 2305.14314)."""

RUNTIME_GB = 1.5
"""Python, CUDA and activations."""

MAX_MEMORY_SHARE = 0.6
"""Share of a board's memory that the model server may use."""


@dataclass(frozen=True)
class Entry:
    """A checkpoint of the hub.

    Attributes:
        hub_id: owner/name.
        licence: as its publisher names it.
        parameters_m: number of weights in millions.
        embedding_m: millions of these in the token embedding and the output layer, which stay in 16 bits.
        model_type: as in its config.json.
        resolutions: longest image sides in pixels to try; write them into the profile.
        prompt: the style of its chat template, which the server applies.
    """

    hub_id: str
    licence: str
    parameters_m: int
    embedding_m: int
    model_type: str
    resolutions: tuple[int, ...]
    prompt: str

    @property
    def nf4_gb(self) -> float:
        """Size in memory as NF4, computed: NF4_BYTES per weight, two bytes per embedding weight."""
        quantized_m = self.parameters_m - self.embedding_m
        return (NF4_BYTES * quantized_m + 2 * self.embedding_m) / 1000

    @property
    def boards(self) -> tuple[str, ...]:
        """Boards with enough memory for the weights and RUNTIME_GB, computed."""
        needed_gb = self.nf4_gb + RUNTIME_GB
        return tuple(name for name, memory_gb in BOARDS.items() if needed_gb <= MAX_MEMORY_SHARE * memory_gb)


USER_ASSISTANT = "User: / Assistant:"
CHATML = "ChatML"
VICUNA = "USER: / ASSISTANT:"

ENTRIES = (
    Entry(
        "HuggingFaceTB/SmolVLM-256M-Instruct", "Apache-2.0", 256, 57, "idefics3", (512, 1024), USER_ASSISTANT
    ),
    Entry(
        "HuggingFaceTB/SmolVLM-500M-Instruct", "Apache-2.0", 507, 95, "idefics3", (512, 1024), USER_ASSISTANT
    ),
    Entry("HuggingFaceTB/SmolVLM-Instruct", "Apache-2.0", 2246, 202, "idefics3", (384, 768), USER_ASSISTANT),
    Entry(
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        "Apache-2.0",
        507,
        95,
        "smolvlm",
        (512, 1024),
        USER_ASSISTANT,
    ),
    Entry(
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct", "Apache-2.0", 2246, 202, "smolvlm", (384, 768), USER_ASSISTANT
    ),
    Entry("Qwen/Qwen2-VL-2B-Instruct", "Apache-2.0", 2209, 233, "qwen2_vl", (448, 784), CHATML),
    Entry("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen Research", 3755, 311, "qwen2_5_vl", (448, 784), CHATML),
    Entry("Qwen/Qwen2.5-VL-7B-Instruct", "Apache-2.0", 8292, 1090, "qwen2_5_vl", (448, 784), CHATML),
    Entry("Qwen/Qwen3-VL-2B-Instruct", "Apache-2.0", 2128, 311, "qwen3_vl", (448, 768), CHATML),
    Entry("Qwen/Qwen3-VL-4B-Instruct", "Apache-2.0", 4438, 389, "qwen3_vl", (448, 768), CHATML),
    Entry("Qwen/Qwen3-VL-8B-Instruct", "Apache-2.0", 8767, 1245, "qwen3_vl", (448, 768), CHATML),
    Entry(
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        "Apache-2.0",
        894,
        136,
        "llava_onevision",
        (384, 768),
        CHATML,
    ),
    Entry(
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        "Apache-2.0",
        8030,
        1090,
        "llava_onevision",
        (384, 768),
        CHATML,
    ),
    Entry("llava-hf/llava-1.5-7b-hf", "Llama 2", 7063, 263, "llava", (336,), VICUNA),
    Entry(
        "HuggingFaceM4/Idefics3-8B-Llama3", "Apache-2.0", 8460, 1051, "idefics3", (364, 728), USER_ASSISTANT
    ),
)


def hub_id(name: str) -> str:
    """Returns the hub id that `name` means.

    Args:
        name: an id above, its part after the slash, or the beginning of that part if it is the only such id,
            each in upper or lower case; or any other owner/name.

    Raises:
        ModelLoadError: `name` is none of these; the message suggests similar names.
    """
    key = name.casefold()
    exact = [entry.hub_id for entry in ENTRIES if key in (entry.hub_id.casefold(), _short(entry))]
    matches = exact or [entry.hub_id for entry in ENTRIES if key and _short(entry).startswith(key)]
    if len(matches) == 1:
        return matches[0]
    if name.count("/") == 1 and not name.startswith((".", "/", "~")) and all(name.split("/")):
        return name
    raise ModelLoadError(
        f"no checkpoint {name!r} is known{suggestion(name)}; give a name of `inarvl-vlm models`, "
        "any other hub id as owner/name, or a folder"
    )


def suggestion(name: str) -> str:
    """Returns "; similar names: A, B" with the known names that are similar to `name`, or nothing."""
    known = {_short(entry): entry.hub_id for entry in ENTRIES}
    similar = difflib.get_close_matches(name.rpartition("/")[2].casefold(), known, n=2, cutoff=0.6)
    ids = [known[short] for short in similar if known[short] != name]
    return f"; similar names: {', '.join(ids)}" if ids else ""


def _short(entry: Entry) -> str:
    return entry.hub_id.rpartition("/")[2].casefold()
