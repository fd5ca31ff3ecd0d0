"""Packages, and the modules and subpackages in them, import in one direction; small processes stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = {"inarvl", "controller", "vlm", "cloud", "agent"}
MAY_IMPORT = {
    "inarvl": set(),
    "controller": {"inarvl"},
    "vlm": {"inarvl"},
    "cloud": {"inarvl", "vlm"},
    "agent": {"inarvl", "controller", "vlm", "cloud.peer"},
    "lab": PRODUCT,
}
# Each room (a folder or a single file) imports only from the rows above its own.
LAYERS = {
    "agent": (
        {"forms", "smoothing", "spool"},
        {"agreement", "messages"},
        {"config"},
        {"spending"},
        {"client", "intake", "profile"},
        {"http", "standalone"},
        {"peers", "sensing", "watching"},
        {"judging"},
        {"answering", "calibration", "doctor"},
        {"reporting"},
        {"home_assistant"},
        {"page"},
        {"daemon"},
        {"cli"},
    ),
    "lab": (
        {"documents", "errors", "probabilities", "scenes"},
        {"rig", "trace", "training"},
        {"demo", "sim"},
        {"policies"},
        {"replay"},
        {"agreement"},
        {"grade", "outcomes"},
        {"report", "speed"},
        {"cli"},
    ),
}


def imported_by(path: Path) -> set[str]:
    """Returns the dotted names of everything that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import from the package's own name, not from dots"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


def files(package: str) -> list[Path]:
    """Returns the package's Python files, without build output."""
    return [path for path in (ROOT / package).rglob("*.py") if "build" not in path.parts]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    for path in files(package):
        for name in imported_by(path):
            ours = name.split(".")[0] in MAY_IMPORT
            within = any(f"{name}.".startswith(f"{a}.") or f"{a}.".startswith(f"{name}.") for a in allowed)
            assert within or not ours, f"{path.relative_to(ROOT)} imports {name}, not in {sorted(allowed)}"


@pytest.mark.parametrize("package", LAYERS)
def test_every_room_has_its_place_among_the_layers(package: str) -> None:
    rooms = {
        entry.stem
        for entry in (ROOT / package).iterdir()
        if (entry / "__init__.py").exists() or (entry.suffix == ".py" and entry.stem != "__init__")
    }
    assert rooms == set().union(*LAYERS[package])


@pytest.mark.parametrize("package", LAYERS)
def test_rooms_import_only_from_the_layers_above(package: str) -> None:
    layer = {room: number for number, rooms in enumerate(LAYERS[package]) for room in rooms}
    for path in files(package):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        room = parts[0]
        if room == "__init__":
            continue
        for name in imported_by(path):
            top, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if top != package or other == room or other not in layer:
                continue
            assert layer[other] < layer[room], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("module", ["agent.cli.main", "controller", "vlm", "cloud", "inarvl"])
def test_small_processes_load_no_model_library(module: str) -> None:
    program = f"import sys, {module}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_agent_loads_no_library_that_it_rarely_needs() -> None:
    program = "import sys, agent.cli.main; print('cryptography' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
