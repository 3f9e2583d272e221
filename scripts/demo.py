"""The main job within minutes: a fovea learns, through a world model, to find a target. ``make demo`` runs it."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from .evaluate import format_table
from .recipes import find_recipe
from .shared.command import run_command
from .shared.rollouts import detection_scores, run_episodes
from .shared.runs import create_folder
from .shared.training import finish
from .train import illustrate

SHOWN = {"within_5": "within 5 px", "within_10": "within 10 px", "median": "median px", "fixations": "fixations"}


def demo(shape: str = "triangle", steps: int = 60_000, seed: int = 0, folder: Path = Path("runs/demo")) -> None:
    """Train on TargetDetection, compare random, untrained, trained and oracle, and leave a run folder to look at.

    Args:
        shape: of the target.
        steps: environment steps.
        seed: of everything.
        folder: the run folder.

    Raises:
        Stopped: by a signal.
    """
    recipe = find_recipe("Foveal/TargetDetection-v0").run(seed)
    run = replace(recipe, env_kwargs={"shape": shape}, steps=steps)
    create_folder(run, folder, overwrite=True)
    print(f"A fovea of 40 receptive fields learns to find a {shape}; its goal input is what it would see there.")
    began = time.process_time()
    untrained = run.make_agent(run.make_env())
    agent, curve = finish(run, folder)
    policies = {"random": "random", "untrained": untrained, "trained": agent, "oracle": "oracle"}
    measured = {
        name: detection_scores(run_episodes(policy, run.env_id, shape=shape)) for name, policy in policies.items()
    }
    print(f"\n1,000 starts within 72 px of the target, after 25 moves ({time.process_time() - began:.0f} CPU s in all)")
    print(format_table({name: {title: row[key] for key, title in SHOWN.items()} for name, row in measured.items()}))
    illustrate(run, folder, agent, curve)
    print(f"\nin {folder}: " + ", ".join(sorted(path.name for path in folder.iterdir())))
    print(f"watch it live: {os.path.relpath(sys.executable)} -m scripts.watch {folder}")


if __name__ == "__main__":
    run_command(demo, "python -m scripts.demo")
