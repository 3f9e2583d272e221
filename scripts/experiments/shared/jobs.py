"""Jobs: one (condition, agent, seed) each, run in parallel processes, written to CSV as they finish, resumable."""

from __future__ import annotations

import csv
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One training (or reference) run and its evaluation.

    Attributes:
        table: name of the CSV file it belongs to.
        conditions: text columns that tell it from other jobs, agent included.
        seed: its random seed.
        run: picklable function; returns rows of measures (one or more), called with this job.
        arguments: what ``run`` needs beyond that.
    """

    table: str
    conditions: dict[str, str]
    seed: int
    run: Callable[[Job], list[Row]]
    arguments: dict[str, Any] = field(default_factory=dict)

    def key(self) -> tuple[str, ...]:
        return (self.table, *self.conditions.values(), str(self.seed))


def run_jobs(jobs: list[Job], folder: Path | None, command: str, processes: int = 2) -> list[Row]:
    """Run jobs and return their rows; with a folder, append them to ``folder/table.csv`` and skip what is there.

    Args:
        jobs: in the order they are to start.
        folder: where the CSV files live; None: keep nothing.
        command: written into the head of new files.
        processes: worker processes, each with one thread.

    Returns:
        Rows of all jobs, old and new, each with its table under "table".
    """
    from tqdm import tqdm

    rows = [row for table in sorted({job.table for job in jobs}) for row in read_rows(folder, table)]
    present = {(row["table"], *(row[name] for name in job.conditions), row["seed"]) for job in jobs for row in rows
               if row["table"] == job.table and all(name in row for name in job.conditions)}  # fmt: skip
    waiting = [job for job in jobs if job.key() not in present]
    with tqdm(total=len(waiting), desc="runs", unit="run", smoothing=0.1) as bar:
        for job, new in _finished(waiting, processes):
            if folder is not None:
                _append(folder / f"{job.table}.csv", new, command)
            rows += [{"table": job.table, **row} for row in new]
            bar.update()
            bar.set_postfix_str(" ".join([*job.conditions.values(), f"seed {job.seed}"]))
    return rows


def jobs_of_parts(
    table: Mapping[str, Callable[[int, bool], list[Job]]], parts: tuple[str, ...], seeds: int, quick: bool
) -> list[Job]:
    """Jobs of the given parts of a result (all if none is given), one seed each where it is to be quick."""
    return [job for part in parts or table for job in table[part](1 if quick else seeds, quick)]


def read_rows(folder: Path | None, table: str) -> list[Row]:
    """Rows of one results file, all text; none if it is not there."""
    path = folder / f"{table}.csv" if folder is not None else None
    if path is None or not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [{"table": table, **row} for row in csv.DictReader(lines)]


def _finished(jobs: list[Job], processes: int) -> Iterator[tuple[Job, list[Row]]]:
    if processes == 1:
        yield from map(_run, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        yield from pool.imap_unordered(_run, jobs)


def _run(job: Job) -> tuple[Job, list[Row]]:
    import torch

    torch.set_num_threads(1)
    started = time.process_time()
    rows = [{**job.conditions, "seed": job.seed, **row} for row in job.run(job)]
    for row in rows:
        row.setdefault("cpu_seconds", round(time.process_time() - started, 2))
    return job, rows


def _append(path: Path, rows: list[Row], command: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        if new:
            file.write(f"# {command}\n")
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
