"""How far the world model of a run can be trusted: model_error.csv and model_error.png in its folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agents import WorldModelController, horizon_errors

from .tables import write_rows

HORIZON = 20  # largest distance, steps


def write_model_error(agent: Any, folder: Path, title: str = "") -> None:
    """Write M's error at every distance up to `HORIZON`, as a table and a picture; for other agents, nothing.

    Files that cannot be written are a warning on stderr.

    Args:
        agent: with the replay of its training.
        folder: of the run.
        title: of the picture.
    """
    if not isinstance(agent, WorldModelController):
        return
    horizon = min(HORIZON, len(agent.replay) - agent.burn_in)
    if horizon < 1:
        return
    errors = horizon_errors(agent, horizon)
    columns = {"distance": errors.distances, "rmse": errors.rmse, "mean_rmse": errors.mean_rmse}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
    try:
        write_rows(folder / "model_error.csv", rows)
        from .plots import model_error, save

        save(model_error(errors, not agent.world_model.scale.observations, title), folder / "model_error.png")
    except OSError as error:
        print(f"{folder}: the errors of its world model could not be written: {error.strerror or error}",
              file=sys.stderr)  # fmt: skip
