"""Imports only point downward, and the two packages never import each other (design: layout)."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [  # of foveal_envs: a module may import from its own layer and from those before it
    {"vectors", "checks", "limits"},
    {"compiled"},
    {"keys"},
    {"scenes", "retinas"},
    {"rendering", "task", "fovea"},
    {"registration", "lanes"},
    {"env"},
    {"tasks"},
    {"checking", "wrappers", "reference"},
    {"__init__"},
]
LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def imported(path: Path, package: Path, types: bool = False) -> set[tuple[int, str]]:
    """(line, absolute dotted name) of every import in a file, relative ones resolved.

    Args:
        path: of the file.
        package: its folder.
        types: whether imports under TYPE_CHECKING count as well.
    """
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
        if not types
    }
    names = set()
    parts = path.relative_to(package.parent).with_suffix("").parts
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {(node.lineno, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            names |= {(node.lineno, f"{module}.{alias.name}") for alias in node.names}
    return names


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def arrows(package: str) -> dict[str, set[str]]:
    """Dotted name of every module of a package -> the modules of the package that it imports, for types or to run."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
             for path in files(package)}  # fmt: skip

    def module(name: str) -> str:
        while name and name not in paths:
            name = name.rpartition(".")[0]
        return name

    return {
        own: {module(name) for _, name in imported(path, ROOT / package, types=True)} - {"", own}
        for own, path in paths.items()
    }


@pytest.mark.parametrize("package", ["foveal_envs"])
def test_no_imports_go_in_a_circle(package: str) -> None:
    """Imports under TYPE_CHECKING count: what knows another's type depends on it."""
    list(graphlib.TopologicalSorter(arrows(package)).static_order())  # a CycleError names the circle


@pytest.mark.parametrize("floor", ["foveal_envs.tasks"])
def test_no_family_imports_another(floor: str) -> None:
    def family(name: str) -> str:
        return name.removeprefix(f"{floor}.").partition(".")[0]

    for own, others in arrows(floor.partition(".")[0]).items():
        inside = {other for other in others if other.startswith(f"{floor}.")}
        assert not own.startswith(f"{floor}.") or {family(other) for other in inside} <= {family(own)}, own


@pytest.mark.parametrize("path", files("foveal_envs"), ids=lambda path: str(path.relative_to(ROOT)))
def test_environments_import_downward(path: Path) -> None:
    package = ROOT / "foveal_envs"
    own = LAYER_OF[path.relative_to(package).with_suffix("").parts[0]]
    for line, name in imported(path, package):
        top, _, rest = name.partition(".")
        assert top not in ("agents", "scripts", "torch", "stable_baselines3"), f"{path}:{line} imports {name}"
        if top == "foveal_envs" and path.name != "__init__.py":
            target = rest.split(".")[0]
            assert LAYER_OF.get(target, 0) <= own, f"{path}:{line} imports {name} from a higher layer"


@pytest.mark.parametrize("path", files("agents"), ids=lambda path: str(path.relative_to(ROOT)))
def test_agents_know_no_task(path: Path) -> None:
    for line, name in imported(path, ROOT / "agents"):
        assert name.split(".")[0] not in ("foveal_envs", "scripts"), f"{path}:{line} imports {name}"


def test_importing_registers_and_loads_neither_numba_nor_pygame() -> None:
    code = (
        "import sys, gymnasium, foveal_envs\n"
        "assert any(id.startswith('Foveal/') for id in gymnasium.registry)\n"
        "print([name for name in ('numba', 'pygame', 'torch') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
