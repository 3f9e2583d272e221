"""Jobs: one (condition, agent, seed) each, run in parallel processes, written to CSV as they finish, resumable."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...shared.tables import Row, is_torn, read_command, read_rows, write_rows
from .pool import Failure, run_all

FRESH = "--fresh"  # in the head of a table: it takes no rows from elsewhere


@dataclass(frozen=True)
class Job:
    """One training (or reference) run and its evaluation.

    Attributes:
        table: name of the CSV file it belongs to.
        conditions: text columns that tell it from other jobs, agent included; the same columns in all jobs of a table.
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

    def __str__(self) -> str:
        return " ".join([self.table, *self.conditions.values(), f"seed {self.seed}"])


@dataclass
class Results:
    """What became of jobs.

    Attributes:
        rows: of all jobs that are done, each with its table under "table".
        reused: folder -> number of the rows that were found there.
        ran: number of jobs run now, failed ones apart.
        failed: number of jobs that failed.
    """

    rows: list[Row] = field(default_factory=list)
    reused: dict[Path, int] = field(default_factory=dict)
    ran: int = 0
    failed: int = 0


def run_jobs(
    jobs: list[Job],
    output: Path | None = None,
    recorded: Path | None = None,
    command: str = "",
    processes: int = 2,
    results: Results | None = None,
) -> Results:
    """Run jobs; with folders, take what is recorded there, and add the rows of each job as it ends, all or none.

    A job that fails, or whose process dies, is told of in one line, and the others go on.

    Args:
        jobs: in the order they are to start.
        output: folder of the CSV files, one a table; None: keep nothing.
        recorded: a second folder whose rows are taken where ``output`` has none; it is only read.
        command: written into the head of new files.
        processes: worker processes, each with one thread; 1: this one.
        results: filled and returned, so that a caller who interrupts the jobs has what is done.
    """
    results = Results() if results is None else results
    waiting = _take_recorded(jobs, output, recorded, results)
    finished = run_all(_run, waiting, processes)
    bar = tqdm(total=len(waiting), desc="runs", unit="run", smoothing=0.1, disable=None)
    with bar, contextlib.closing(finished):
        for job, outcome in finished:
            bar.update()
            bar.set_postfix_str(str(job))
            if isinstance(outcome, Failure):
                results.failed += 1
                tqdm.write(f"failed: {job}: {outcome.reason}", file=sys.stderr)
                continue
            if output is not None:
                add_rows(output / f"{job.table}.csv", outcome, command)
            results.rows += [{"table": job.table, **row} for row in outcome]
            results.ran += 1
    return results


def jobs_of_parts(
    table: Mapping[str, Callable[[int, bool], list[Job]]], parts: tuple[str, ...], seeds: int, quick: bool
) -> list[Job]:
    """Jobs of the given parts of a result, all if none is given."""
    return [job for part in parts or table for job in table[part](seeds, quick)]


def begin_anew(jobs: list[Job], output: Path, command: str) -> None:
    """Begin the tables of jobs anew, marked as `FRESH`; tables that are there are kept under a numbered name."""
    for table in dict.fromkeys(job.table for job in jobs):
        path = output / f"{table}.csv"
        if path.exists():
            number = 1
            while (kept := path.with_name(f"{path.name}.{number}")).exists():
                number += 1
            path.rename(kept)
        write_rows(path, [], f"{command} {FRESH}")


def recorded_rows(path: Path) -> list[Row]:
    """Rows of whole jobs. Where the last line is torn, the job before it may lack some, and is left out."""
    rows = read_rows(path)
    if rows and is_torn(path):
        columns = list(rows[0])
        own = columns[: columns.index("seed") + 1]
        rows = [row for row in rows if any(row[name] != rows[-1][name] for name in own)]
    return rows


def add_rows(path: Path, rows: list[Row], command: str) -> None:
    """Add the rows of one job to a table, all or none; a new table begins with the command.

    Raises:
        ValueError: the table has other columns.
    """
    before = recorded_rows(path)
    if before and set(before[0]) != set(rows[0]):
        other = ", ".join(sorted(set(before[0]) ^ set(rows[0])))
        raise ValueError(f"{path} was written by another version: it differs in the columns {other}; give --output")
    write_rows(path, [*before, *rows], read_command(path) or command)


def _take_recorded(jobs: list[Job], output: Path | None, recorded: Path | None, results: Results) -> list[Job]:
    """Put the recorded rows of jobs into the results; returns the jobs that have none."""
    places: dict[tuple[str, ...], Path] = {}
    rows: dict[tuple[str, ...], list[Row]] = {}
    for table, names in {job.table: (*job.conditions, "seed") for job in jobs}.items():
        fresh = output is not None and FRESH in read_command(output / f"{table}.csv").split()
        for folder in filter(None, (output, None if fresh else recorded)):
            for row in recorded_rows(folder / f"{table}.csv"):
                key = (table, *(row.get(name, "") for name in names))
                if places.setdefault(key, folder) == folder:
                    rows.setdefault(key, []).append({"table": table, **row})
    for job in jobs:
        own = rows.get(job.key(), [])
        results.rows += own
        if own:
            place = places[job.key()]
            results.reused[place] = results.reused.get(place, 0) + len(own)
    return [job for job in jobs if job.key() not in rows]


def _run(job: Job) -> list[Row]:
    started = time.process_time()
    rows = [{**job.conditions, "seed": job.seed, **row} for row in job.run(job)]
    for row in rows:
        row.setdefault("cpu_seconds", round(time.process_time() - started, 2))
    return rows
