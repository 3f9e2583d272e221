"""Imports only point downward, and the two packages never import each other (design: layout)."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS: dict[str, list[set[str]]] = {  # a room may import from its own layer and from those before it
    "foveal_envs": [
        {"vectors", "checks", "limits", "cache"},
        {"compiled"},
        {"keys"},
        {"scenes", "retinas"},
        {"rendering", "task", "fovea"},
        {"registration", "lanes", "resets"},
        {"env", "vector_env"},
        {"tasks"},
        {"checking", "wrappers", "reference"},
        {"__init__"},
    ],
    "agents": [
        {"cores"},
        {"common"},
        {"world_model", "ppo", "subgoals", "values", "hq"},
        {"evolution"},
        {"adapters", "vec_env", "__init__"},
    ],
}
FOREIGN = {  # what a package must not know
    "foveal_envs": ("agents", "scripts", "torch", "stable_baselines3"),
    "agents": ("foveal_envs", "scripts"),
}
FAMILIES = {"foveal_envs": "foveal_envs.tasks", "agents": "agents"}  # where the families of a package live
SHARED = {"foveal_envs.tasks": set(), "agents": {"agents", "agents.cores", "agents.common", "agents.vec_env"}}
MAY = {("agents.evolution", "agents.world_model")}  # the one family that may import another


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


PACKAGES = pytest.mark.parametrize("package", sorted(LAYERS))


@PACKAGES
def test_no_imports_go_in_a_circle(package: str) -> None:
    """Imports under TYPE_CHECKING count: what knows another's type depends on it."""
    list(graphlib.TopologicalSorter(arrows(package)).static_order())  # a CycleError names the circle


@PACKAGES
def test_no_family_imports_another(package: str) -> None:
    floor = FAMILIES[package]

    def family(name: str) -> str:
        return ".".join(name.split(".")[: floor.count(".") + 2])

    for own, others in arrows(package).items():
        for other in others:
            ends = family(own), family(other)
            between = all(end.startswith(floor) and end != floor and end not in SHARED[floor] for end in ends)
            may = ends[0] == ends[1] or ends in MAY or ends[0] == "agents.adapters"
            assert not between or may, f"{own} imports {other}"


@PACKAGES
def test_imports_point_downward(package: str) -> None:
    """To run or for types alone, and never to what the package must not know."""
    layer_of = {room: number for number, layer in enumerate(LAYERS[package]) for room in layer}
    for path in files(package):
        for line, name in imported(path, ROOT / package, types=True):
            assert name.split(".")[0] not in FOREIGN[package], f"{path}:{line} imports {name}"
    for own, others in arrows(package).items():
        for other in others:
            if other == package:  # its __init__ is above all
                assert own == package, f"{own} imports the whole package"
                continue
            floors = [layer_of[(*name.split("."), "__init__")[1]] for name in (own, other)]
            assert floors[0] >= floors[1], f"{own} imports {other} from a higher layer"


def test_agents_are_few_rooms_on_few_floors() -> None:
    rooms = [path for path in (ROOT / "agents").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(rooms) <= 12
    assert len(LAYERS["agents"]) == 5


def test_importing_registers_and_loads_neither_numba_nor_pygame() -> None:
    code = (
        "import sys, gymnasium, foveal_envs\n"
        "assert any(id.startswith('Foveal/') for id in gymnasium.registry)\n"
        "print([name for name in ('numba', 'pygame', 'torch') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_wrappers_of_vector_environments_have_no_parameters() -> None:
    """They are generic only from Gymnasium 1.3 on: with 1.2, which is allowed, `VectorWrapper[...]` raises an error."""
    for path in (path for room in (*LAYERS, "scripts") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            bases = node.bases if isinstance(node, ast.ClassDef) else []
            named = [ast.unparse(base.value).rpartition(".")[2] for base in bases if isinstance(base, ast.Subscript)]
            assert not any(name.startswith("Vector") and name.endswith("Wrapper") for name in named), path
