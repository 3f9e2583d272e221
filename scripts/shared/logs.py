"""Logs of training: CSV files of whole rows, TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from .command import Refusal
from .runs import Run
from .tables import numeric, read_rows, write_rows

FORMATS = ("csv", "tensorboard", "wandb", "mlflow")
STEPS = "environment_steps"
Attempt = Callable[[Callable[[], None]], bool]


class CSVLog(KVWriter):
    """progress.csv, rewritten at most once a second.

    Args:
        path: the file.
        steps: gives the environment steps of the run so far, lessons included; rows that the file holds of later ones
            are dropped, as a resumed run comes to them again.
    """

    def __init__(self, path: Path, steps: Callable[[], int]) -> None:
        self.path, self.steps = path, steps
        self.rows: list[dict[str, Any]] = [row for row in numeric(read_rows(path)) if row[STEPS] <= steps()]
        self._written = 0.0

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        """Adds a row."""
        self.rows.append({STEPS: self.steps(), **_numbers(key_values)})
        if time.monotonic() - self._written >= 1.0:
            self.flush()

    def flush(self) -> None:
        """Writes the file."""
        write_rows(self.path, self.rows)
        self._written = time.monotonic()

    def close(self) -> None:
        """Writes what is left."""
        if self.rows:
            self.flush()


class WandbLog(KVWriter):
    """A run of Weights & Biases.

    Args:
        folder: of the run; its files go there.
        run: configuration.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        import wandb

        self._run = wandb.init(project="foveal-envs", dir=str(folder), name=folder.name, config=asdict(run))

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        """Logs a row."""
        self._run.log(_numbers(key_values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


class MLflowLog(KVWriter):
    """A run of MLflow.

    Args:
        folder: of the run, which names it.
        run: configuration.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.start_run(run_name=folder.name)
        mlflow.log_params({name: str(value)[:500] for name, value in asdict(run).items()})

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        """Logs a row."""
        self._mlflow.log_metrics(_numbers(key_values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._mlflow.end_run()


class _Careful(KVWriter):
    """A writer whose failures to write do not end the training."""

    def __init__(self, writer: KVWriter, attempt: Attempt) -> None:
        self._writer, self._attempt = writer, attempt

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        self._attempt(lambda: self._writer.write(key_values, key_excluded, step))

    def flush(self) -> None:
        """Writes what is waiting, if the writer waits with anything."""
        if isinstance(self._writer, CSVLog):
            self._writer.close()

    def close(self) -> None:
        self._attempt(self._writer.close)


def check_formats(formats: Sequence[str]) -> None:
    """Refuse unknown formats, and those whose packages are not installed."""
    for name in formats:
        if name not in FORMATS:
            raise Refusal(f"--logger takes {', '.join(FORMATS)}; got {name!r}")
        if name in ("wandb", "mlflow") and importlib.util.find_spec(name) is None:
            raise Refusal(f"--logger {name} needs a package: pip install {name}")


def make_logger(folder: Path, formats: Sequence[str], run: Run, steps: Callable[[], int], attempt: Attempt) -> Logger:
    """A logger of Stable-Baselines3 for a run.

    Args:
        folder: of the run.
        formats: of FORMATS; ``tensorboard_log`` among the agent's keywords adds TensorBoard in that folder.
        run: configuration.
        steps: see `CSVLog`.
        attempt: calls a function that writes, and survives its failure.
    """
    makers: dict[str, Callable[[], KVWriter]] = {
        "csv": lambda: CSVLog(folder / "progress.csv", steps),
        "tensorboard": lambda: TensorBoardOutputFormat(str(folder / "tensorboard")),
        "wandb": lambda: WandbLog(folder, run),
        "mlflow": lambda: MLflowLog(folder, run),
    }
    writers = [makers[name]() for name in dict.fromkeys(formats)]
    if "tensorboard_log" in run.agent_kwargs:
        writers.append(TensorBoardOutputFormat(str(run.agent_kwargs["tensorboard_log"])))
    return Logger(str(folder), [_Careful(writer, attempt) for writer in writers])


def _numbers(key_values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key_values.items() if isinstance(value, int | float)}
