"""Reproduce published results: ``python -m scripts.reproduce --list``, ``python -m scripts.reproduce att1 --quick``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from .experiments import EXPERIMENTS
from .experiments.shared.claims import Claim
from .experiments.shared.jobs import run_jobs

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


def reproduce(
    result: tyro.conf.Positional[str] = "",
    parts: tuple[str, ...] = (),
    list_results: Annotated[bool, tyro.conf.arg(name="list")] = False,
    quick: bool = False,
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False,
    seeds: int = 10,
    processes: int = 2,
    folder: Path | None = None,
) -> None:
    """Run a published result and print claim, measured, unit, seeds, environment steps, CPU seconds, passed.

    The full run appends a row a seed to CSV files under docs/results and skips what is already there, so that it can
    be interrupted and resumed; the quick one keeps nothing.

    Args:
        result: name of the result.
        parts: of the result; default: all.
        list_results: name every published result and its parts.
        quick: one seed of what takes seconds; ends within 90 seconds on two cores.
        json_output: print JSON.
        seeds: of each condition.
        processes: worker processes.
        folder: where the CSV files go; default: docs/results and the result's name.
    """
    if list_results or not result:
        for name in EXPERIMENTS:
            module = _module(name)
            print(f"{name:12} {module.TITLE}\n             parts: {', '.join(module.PARTS)}")
        return
    if result not in EXPERIMENTS:
        raise SystemExit(f"unknown result {result!r}; known: {', '.join(EXPERIMENTS)}")
    module = _module(result)
    unknown = set(parts) - set(module.PARTS)
    if unknown:
        raise SystemExit(f"{result} has no part {', '.join(sorted(unknown))}; it has {', '.join(module.PARTS)}")
    kept = None if quick else folder or RESULTS / result
    rows = run_jobs(module.jobs(parts, seeds, quick), kept, _command(result, parts, seeds), processes)
    claims = module.claims(rows)
    print(json.dumps([claim.as_dict() for claim in claims], indent=2) if json_output else _table(claims))
    if not all(claim.passed for claim in claims):
        print("not every bar is met", file=sys.stderr)


def _command(result: str, parts: tuple[str, ...], seeds: int) -> str:
    chosen = f" --parts {' '.join(parts)}" if parts else ""
    return f"python -m scripts.reproduce {result}{chosen} --seeds {seeds}"


def _module(name: str) -> Any:
    return importlib.import_module(f".experiments.{name.replace('-', '_')}", __package__)


def _table(claims: list[Claim]) -> str:
    """Aligned lines: claim, measured, bar, seeds, steps, CPU seconds, passed."""
    head = ["claim", "measured", "unit", "bar", "seeds", "steps", "CPU s", "passed"]
    cells = [head] + [
        [c.claim, f"{c.measured:.4g}", c.unit, c.bar, str(c.seeds), f"{c.environment_steps:,.0f}",
         f"{c.cpu_seconds:.1f}", "yes" if c.passed else "NO"] for c in claims
    ]  # fmt: skip
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


if __name__ == "__main__":
    tyro.cli(reproduce)
