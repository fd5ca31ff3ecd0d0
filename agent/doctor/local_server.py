"""The unit of the board's model server, and the model that its settings name."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from agent.doctor.finding import Finding, failed, ok
from vlm import bundled

VLM, LLAMACPP = "inarvl-vlm", "inarvl-llamacpp"
SETTINGS = {VLM: Path("/etc/inarvl/vlm.env"), LLAMACPP: Path("/etc/inarvl/llamacpp.env")}
PROPERTIES = "LoadState,ActiveState,UnitFileState,MemoryMax,MemoryCurrent,NRestarts"


def properties(unit: str) -> dict[str, str]:
    """Returns a unit's properties; empty if systemd does not report them."""
    try:
        shown = subprocess.run(
            ["systemctl", "show", unit, "-p", PROPERTIES],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return {}
    return dict(line.partition("=")[::2] for line in shown.stdout.splitlines())


def local_unit() -> str:
    """Returns which of the two units serves the board's model: they exclude each other."""
    llamacpp = properties(LLAMACPP)
    used = llamacpp.get("ActiveState") == "active" or llamacpp.get("UnitFileState") == "enabled"
    return LLAMACPP if used else VLM


def model_files(unit: str) -> list[Finding]:
    """Checks the model that a unit of the model server is configured to serve."""
    try:
        lines = SETTINGS[unit].read_text(errors="replace").splitlines()
    except OSError:
        return []
    settings = {name: value.strip("'\" ") for name, _, value in (line.partition("=") for line in lines)}
    return _gguf_files(settings) if unit == LLAMACPP else _checkpoint(settings)


def _gguf_files(settings: Mapping[str, str]) -> list[Finding]:
    return [_gguf_file(name, settings.get(name, "")) for name in ("MODEL", "MMPROJ")]


def _gguf_file(name: str, path: str) -> Finding:
    file = SETTINGS[LLAMACPP]
    if not path:
        return failed(
            f"{file}: {name} is not set", "write the path of a GGUF file (docs/engines/llamacpp.md)"
        )
    try:
        Path(path).stat()
    except PermissionError:
        pass  # the server's user may read more than this one
    except OSError:
        return failed(f"{file}: {name} is {path}, which does not exist", "write the path of a GGUF file")
    return ok(f"{file} names {path}")


def _checkpoint(settings: Mapping[str, str]) -> list[Finding]:
    file, model = SETTINGS[VLM], settings.get("MODEL")
    if model is None:
        return []
    name = model.removeprefix("bundled:")
    if name != model and name not in bundled.names():
        known = ", ".join(bundled.names())
        return [failed(f"{file}: there is no bundled model {name!r}", f"write one of {known}")]
    folder = Path(model)
    if folder.is_absolute() and not (folder / "config.json").is_file():
        return [failed(f"{file}: {folder} has no config.json", "write the folder of a checkpoint")]
    return [ok(f"{file} names {model}")]
