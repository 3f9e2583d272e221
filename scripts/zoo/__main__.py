"""Add trained agents to the zoo and record their scores: ``python -m scripts.zoo runs/GROUP ...``.

A group is what ``train ID --seeds N`` leaves. The agent of the median score goes into the zoo, a row a seed into
docs/results/recipes/scores.csv, and the means into the recipe: the score and the CPU seconds to expect.
"""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from ..recipes import HERE as RECIPES
from ..recipes import ZOO, find_recipe
from ..shared.about import read_about
from ..shared.command import Refusal
from ..shared.environments import make_lanes, task_in
from ..shared.policies import load_agent
from ..shared.runs import CONTROLLER, Run, read_config, write_json
from ..shared.seeds import group_of
from ..shared.suite import score_suite
from ..shared.tables import read_rows, write_rows

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "recipes" / "scores.csv"
SETS = 3


def add(group: Path) -> list[dict[str, Any]]:
    """Put the median agent of a group into the zoo.

    Args:
        group: folder of ``train ID --seeds N``.

    Returns:
        A row a seed.

    Raises:
        Refusal: the folder holds no seeds.
    """
    count = group_of(group)
    if count is None:
        raise Refusal(f"{group} is no group of seeds: foveal train ID --seeds 3 makes one")
    folders = sorted(group.glob("seed*/"))
    env_id = Run.from_config(read_config(folders[0])).env_id
    recipe = find_recipe(env_id)
    lines = score_suite([env_id], [str(folder) for folder in folders], recipe.episodes, SETS)
    line = next(line for line in lines if line.folders)
    references = {line.policy: float(np.mean(line.values)) for line in lines if not line.folders}
    rows = []
    for folder, value, score in zip(line.folders, line.values, line.scores, strict=True):
        run, about = Run.from_config(read_config(folder)), read_about(Path(folder))
        measured = read_rows(group / "scores.csv")[len(rows)]
        rows.append({
            "id": env_id, "algorithm": run.algorithm, "seed": run.seed, "unit": line.unit, "value": float(value),
            "score": float(score), "measure": recipe.measure, "measured": float(measured[recipe.measure]),
            "return": float(measured["return"]), "reward_threshold": gym.spec(env_id).reward_threshold or "",
            "environment_steps": about["environment_steps"], "cpu_seconds": _seconds(Path(folder)),
            "commit": about.get("commit", ""),
        })  # fmt: skip
    median = int(np.argsort([row["score"] for row in rows])[len(rows) // 2])
    _copy(Path(line.folders[median]), ZOO / env_id.partition("/")[2], rows, references)
    return rows


def note(rows: list[dict[str, Any]]) -> None:
    """Write the mean score and CPU seconds of the rows of an id into its recipe."""
    path = RECIPES / f"{rows[0]['id'].partition('/')[2].removesuffix('-v0')}.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("score =", "cpu_seconds ="))]
    score, seconds = (np.mean([row[name] for row in rows]) for name in ("score", "cpu_seconds"))
    after = 1 + next(number for number, line in enumerate(lines) if line.startswith("measure ="))
    lines[after:after] = [f"score = {score:.3f}", f"cpu_seconds = {seconds:.0f}"]
    path.write_text("\n".join(lines) + "\n")


def _seconds(folder: Path) -> float:
    """CPU seconds of a training, that of its controller included."""
    own = [read_about(path.parent)["cpu_seconds"] for path in folder.glob("**/about.json")]
    return round(float(sum(own)), 1)


def _copy(source: Path, target: Path, rows: list[dict[str, Any]], references: dict[str, float]) -> None:
    """Copy a run folder without optimizers, logs and checkpoints; every keyword is written out, defaults, too."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    run = Run.from_config(read_config(source))
    lanes = make_lanes(run.env_id, run.env_kwargs, 1)
    agent: Any = load_agent(source, lanes)
    optimizers = [name for name in agent.get_parameters() if isinstance(getattr(agent, name), torch.optim.Optimizer)]
    agent.save(target / "model.zip", exclude=optimizers)
    config = asdict(run)
    config["env_kwargs"] = {**_defaults(type(task_in(lanes))), **run.env_kwargs}
    lanes.close()
    write_json(target / "config.json", config)
    if (source / CONTROLLER).is_dir():
        _copy(source / CONTROLLER, target / CONTROLLER, rows, references)
        return
    about = read_about(source)
    kept = ("versions", "commit", "dirty", "threads", "device", "began", "cpu_seconds", "environment_steps")
    settings = {name: value for name, value in agent.settings.items() if _is_data(value)} | run.agent_kwargs
    write_json(target / "card.json", {
        "id": run.env_id, "agent": run.algorithm, "command": f"foveal train {run.env_id} --seeds {len(rows)}",
        "agent_keywords": settings, "env_keywords": config["env_kwargs"],
        "seed": run.seed, "chosen": "the seed of the median score", "lessons": run.lessons,
        "scores": rows, "references": references,
        **{name: about[name] for name in kept if name in about},
    })  # fmt: skip


def _defaults(task: type) -> dict[str, Any]:
    """Every keyword of a task with its default, where it is plain data."""
    own = {name: parameter.default for name, parameter in inspect.signature(task).parameters.items()}
    return {name: value for name, value in own.items() if _is_data(value)}


def _is_data(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def main(groups: list[str]) -> None:
    """Add the groups, and replace their rows in the table."""
    if not groups:
        raise Refusal("name the folders of train --seeds")
    torch.set_num_threads(1)
    table: list[dict[str, Any]] = [dict(row) for row in read_rows(RESULTS)]
    for group in groups:
        rows = add(Path(group))
        note(rows)
        table = [row for row in table if row["id"] != rows[0]["id"]] + rows
        for row in rows:
            print(f"{row['id']}  seed {row['seed']}  {row['unit']} {row['value']:.4g}  score {row['score']:.3f}  "
                  f"return {row['return']:.4g} of {row['reward_threshold']}  {row['cpu_seconds']} CPU s")  # fmt: skip
    order = list(gym.registry)
    table.sort(key=lambda row: (order.index(row["id"]), int(row["seed"])))
    write_rows(RESULTS, table, "foveal train ID --seeds 3; python -m scripts.zoo runs/GROUP, for every id")


if __name__ == "__main__":
    main(sys.argv[1:])
