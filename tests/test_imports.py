"""Imports between the packages run one way, and the small processes stay free of the large libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMON = {"inarvl"}
# bench prices and compares as the agent does, and talks to it as any client
PURE = (
    "agreement",
    "energy",
    "images",
    "knowledge",
    "mqtt",
    "profile",
    "profiles",
    "reply",
    "sensing",
    "topics",
)
MAY_IMPORT = {
    "inarvl": set(),
    "controller": set(),
    "vlm": set(),
    "scenes": set(),
    "cloud": {"vlm"},
    "training": {"scenes", "vlm"},
    "agent": {"controller", "vlm", "cloud.peer"},
    "wan": set(),
    "demo": {"scenes", "agent", "wan"},
    "bench": {
        "controller",
        "vlm",
        "scenes",
        "wan",
        "demo.service",
        *(f"agent.{name}" for name in PURE),
    },
}


def imported_by(path: Path) -> set[str]:
    """Dotted names of all that a file imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import from the package's own name, not from dots"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package: str) -> None:
    allowed = MAY_IMPORT[package] | COMMON | {package}
    for path in (ROOT / package).rglob("*.py"):
        for name in imported_by(path):
            ours = name.split(".")[0] in MAY_IMPORT
            within = any(f"{name}.".startswith(f"{a}.") or f"{a}.".startswith(f"{name}.") for a in allowed)
            assert within or not ours, f"{path.relative_to(ROOT)} imports {name}, not in {sorted(allowed)}"


@pytest.mark.parametrize("module", ["agent.cli", "controller.controller", "vlm.client", "cloud.peer"])
def test_small_processes_load_no_model_library(module: str) -> None:
    program = f"import sys, {module}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
