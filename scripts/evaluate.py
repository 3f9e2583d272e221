"""Evaluate agents and references from the same starts: a table, or JSON. ``python -m scripts.evaluate --help``."""

from __future__ import annotations

import json
from typing import Annotated

import tyro

from .evaluation import EVALUATION_SEED, run_episodes, scores
from .runs import check_agents, find_environment, parse_keywords


def evaluate(
    environment: tyro.conf.Positional[str],
    agents: tuple[str, ...] = (),
    episodes: int = 1000,
    seed: int = EVALUATION_SEED,
    env: tuple[str, ...] = (),
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Run whole episodes of every agent from the same starts and print their scores.

    Args:
        environment: an environment's id, or a run folder.
        agents: "random", "oracle", run folders or model.zip files; default: random, the run folder's model, oracle.
        episodes: starts of each.
        seed: of the first start; it differs from all training seeds.
        env: keywords of the environment, KEY=VALUE.
        json_output: print JSON instead of a table.
    """
    check_agents()
    env_id, keywords, own_agent = find_environment(environment, parse_keywords(env))
    names = agents or tuple(filter(None, ("random", own_agent, "oracle")))
    rotate = bool(keywords.get("rotate", False))
    table = {name: scores(run_episodes(name, env_id, episodes, seed, **keywords), env_id, rotate) for name in names}
    print(json.dumps(table, indent=2) if json_output else format_table(table))


def format_table(table: dict[str, dict[str, float]]) -> str:
    """Rows of numbers under their names, aligned."""
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    cells = [["", *columns]] + [
        [name, *(f"{row[column]:.3f}" if column in row else "" for column in columns)] for name, row in table.items()
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns) + 1)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(lines)


if __name__ == "__main__":
    tyro.cli(evaluate)
