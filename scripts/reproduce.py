"""Reproduce published results: ``python -m scripts.reproduce --list``, ``python -m scripts.reproduce att1 --quick``."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .experiments import EXPERIMENTS
from .experiments.shared.claims import Claim, judge
from .experiments.shared.jobs import FRESH, Job, Results, begin_anew, run_jobs
from .shared.command import program, run_command
from .shared.signals import Stopped, stopped_by_signals

RECORDED = Path(__file__).resolve().parent.parent / "docs" / "results"  # only in a checkout of the source
SEEDS = 10


def reproduce(
    result: str = "",
    parts: tuple[str, ...] = (),
    list_results: bool = False,
    quick: bool = False,
    json_output: bool = False,
    seeds: int | None = None,
    processes: int = 2,
    output: Path | None = None,
    fresh: bool = False,
) -> None:
    """Run a published result and print claim, measured, unit, bar, seeds, environment steps, CPU seconds, passed.

    Each run adds its rows to the CSV files of the output folder as it ends. Runs that are recorded there, or under
    docs/results in a checkout of the source, are not repeated; how many rows were reused is said. So the same command
    goes on after an interruption. The quick form reuses and keeps nothing. Exits with 1 where a bar is missed or a run
    failed.

    Args:
        result: name of the result.
        parts: of the result; default: all.
        list_results: name every published result and its parts.
        quick: one seed of what takes seconds; bars that this cannot meet are not judged. Ends within 90 seconds on two
            cores.
        json_output: print JSON.
        seeds: of each condition; default: 10.
        processes: worker processes.
        output: folder of the CSV files; default: runs/reproduce/ and the result's name.
        fresh: reuse no row. Tables that the output folder holds are kept under a numbered name.
    """
    if list_results or not result:
        for name in EXPERIMENTS:
            module = _module(name)
            print(f"{name:12} {module.TITLE}\n             parts: {', '.join(module.PARTS)}")
        return
    if quick and (seeds is not None or output is not None or fresh):
        raise SystemExit("--quick runs one seed and keeps nothing: leave out --seeds, --output and --fresh")
    number = 1 if quick else SEEDS if seeds is None else seeds
    jobs = _jobs(result, parts, number, quick, processes)
    if quick:
        results = _run(jobs, f"{_command(result, parts)} --quick", processes)
    else:
        output = output or Path("runs", "reproduce", result)
        command = _command(result, parts, "--seeds", str(number))
        if fresh:
            begin_anew(jobs, output, command)
        results = _run(jobs, command, processes, output, RECORDED / result)
    claims = judge(_module(result).claims(results.rows), quick)
    print(_summary(results, quick), file=sys.stderr if json_output else sys.stdout)
    print(json.dumps([claim.as_dict() for claim in claims], indent=2) if json_output else _table(claims))
    missed = sum(claim.passed is False for claim in claims)
    if missed:
        print(f"{missed} of {sum(claim.passed is not None for claim in claims)} bars are missed", file=sys.stderr)
    if missed or results.failed:
        sys.exit(1)


def _jobs(result: str, parts: tuple[str, ...], seeds: int, quick: bool, processes: int) -> list[Job]:
    """The jobs of a command line, or a refusal in one line."""
    if result not in EXPERIMENTS:
        raise SystemExit(f"unknown result {result!r}; known: {', '.join(EXPERIMENTS)}")
    module = _module(result)
    unknown = set(parts) - set(module.PARTS)
    if unknown:
        raise SystemExit(f"{result} has no part {', '.join(sorted(unknown))}; it has {', '.join(module.PARTS)}")
    for name, number in (("seeds", seeds), ("processes", processes)):
        if number < 1:
            raise SystemExit(f"--{name} must be at least 1, got {number}")
    jobs: list[Job] = module.jobs(parts, seeds, quick)
    if not jobs:
        raise SystemExit(f"no quick form: {', '.join(parts)} of {result}; leave out --quick")
    return jobs


def _run(
    jobs: list[Job], command: str, processes: int, output: Path | None = None, recorded: Path | None = None
) -> Results:
    """Run the jobs; a signal, or a table that cannot be written, ends it with the command that goes on."""
    results = Results()
    more = ["--processes", str(processes), *(["--output", str(output)] if output is not None else [])]
    go_on = f"go on with: {command} {shlex.join(more)}" if output is not None else f"nothing is kept of {command}"
    try:
        with stopped_by_signals():
            return run_jobs(jobs, output, recorded, command, processes, results)
    except Stopped as stop:
        print(f"\nstopped by {stop}; {results.ran} runs done now; {go_on}", file=sys.stderr)
        raise SystemExit(stop.exit_code) from None
    except (OSError, ValueError) as error:
        print(f"\n{error}; {results.ran} runs done now; {go_on}", file=sys.stderr)
        raise SystemExit(1) from None


def _summary(results: Results, quick: bool) -> str:
    """How many runs were done, reused and failed, in one line."""
    reused = [f"{count} rows reused from {os.path.relpath(folder)}" for folder, count in results.reused.items()]
    said = [f"{results.ran} runs done now", *reused] + [f"{results.failed} runs failed"] * bool(results.failed)
    return ", ".join(said) + (f" ({FRESH} repeats all)" if reused else ", nothing is kept" if quick else "")


def _command(result: str, parts: tuple[str, ...], *more: str) -> str:
    chosen = ["--parts", *parts] if parts else []
    return shlex.join(["python", "-m", "scripts.reproduce", result, *chosen, *more])


def _module(name: str) -> Any:
    return importlib.import_module(f".experiments.{name.replace('-', '_')}", __package__)


def _table(claims: list[Claim]) -> str:
    """Aligned lines: claim, measured, unit, bar, seeds, steps, CPU seconds, passed."""
    head = ["claim", "measured", "unit", "bar", "seeds", "steps", "CPU s", "passed"]
    cells = [head] + [
        [c.claim, f"{c.measured:.4g}", c.unit, c.bar, str(c.seeds), f"{c.environment_steps:,.0f}",
         f"{c.cpu_seconds:.1f}", c.verdict()] for c in claims
    ]  # fmt: skip
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(reproduce, program("reproduce"), words)


if __name__ == "__main__":
    main()
