"""Train an agent and leave a run folder: model, configuration, progress, learning curve, scanpaths, an episode as GIF.

``python -m scripts.train Foveal/TargetDetection-v0 --env shape=L --steps 150000``
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
import tyro
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from .shared.rollouts import run_episodes, scores
from .shared.runs import Run, check_agents, make_lanes, parse_keywords, task_in

POINTS = 15  # of a learning curve
CURVE_STARTS = 200


class LearningCurve(BaseCallback):
    """Scores and saves the agent at regular steps; writes curve.csv. Its own CPU time does not count as training.

    Args:
        folder: where model.zip and curve.csv go.
        run: what is trained.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        super().__init__()
        self.folder, self.run = folder, run
        self.points: list[dict[str, float]] = []
        self._spent = 0.0
        self._since = time.process_time()

    def _on_training_start(self) -> None:
        self._since = time.process_time()
        self._add()

    def _on_step(self) -> bool:
        if self.num_timesteps >= len(self.points) * self.run.steps / POINTS:
            self._add()
        return True

    def _on_training_end(self) -> None:
        if self.num_timesteps > self.points[-1]["environment_steps"]:
            self._add()

    def _add(self) -> None:
        self._spent += time.process_time() - self._since
        episodes = run_episodes(self.model, self.run.env_id, CURVE_STARTS, **self.run.env_kwargs)
        measured = scores(episodes, self.run.env_id, self.run.env_kwargs.get("rotate", False))
        point = {"seed": self.run.seed, "environment_steps": self.num_timesteps, "cpu_seconds": self._spent, **measured}
        self.points.append(point)
        lines = [",".join(point), *(",".join(f"{value:.6g}" for value in row.values()) for row in self.points)]
        (self.folder / "curve.csv").write_text("\n".join(lines) + "\n")
        save(self.model, self.folder)
        self._since = time.process_time()


def save(agent: BaseAlgorithm, folder: Path) -> None:
    """Write model.zip; an interruption leaves the last whole one."""
    agent.save(folder / "next.zip")
    (folder / "next.zip").replace(folder / "model.zip")


def fit(run: Run, folder: Path, progress_bar: bool = True) -> tuple[BaseAlgorithm, LearningCurve]:
    """Train; fill the run folder with model.zip, config.json, progress.csv and curve.csv.

    Ctrl-C ends the training; the agent as it then is gets saved and returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(run), indent=2) + "\n")
    env = run.make_env()
    agent = run.make_agent(env)
    agent.set_logger(configure(str(folder), ["csv"]))
    curve = LearningCurve(folder, run)
    try:
        agent.learn(run.steps, callback=curve, progress_bar=progress_bar)
    except KeyboardInterrupt:
        print(f"interrupted after {agent.num_timesteps:,} steps; the model is saved")
    save(agent, folder)
    agent.logger.close()
    env.close()
    return agent, curve


def illustrate(run: Run, folder: Path, agent: BaseAlgorithm, curve: LearningCurve) -> None:
    """Draw learning_curve.png, scanpaths.png (where the task has a fovea) and episode.gif into the run folder."""
    from .shared.plots import learning_curve, record_scanpaths, scanpaths
    from .watch import run as play_episodes
    from .watch import write

    measures = ("pose", "within_10", "error", "correct", "is_success", "return")
    measure = next(name for name in measures if name in curve.points[0])
    learning_curve(curve.points, "environment_steps", measure, title=run.env_id).savefig(folder / "learning_curve.png")
    lanes = make_lanes(run.env_id, run.env_kwargs, 8, info="step")
    task = task_in(lanes)
    if task is not None and task.fovea is not None:
        scanpaths(record_scanpaths(lanes, agent, seed=7), title=run.env_id).savefig(folder / "scanpaths.png")
    lanes.close()
    lane = make_lanes(run.env_id, run.env_kwargs, 1, render_mode="rgb_array")
    write(list(play_episodes(lane, agent, 1, seed=3)), 8, folder / "episode.gif", None, None)
    lane.close()


def train(
    environment: tyro.conf.Positional[str] = "Foveal/TargetDetection-v0",
    env: tuple[str, ...] = (),
    algorithm: str = "WorldModelController",
    preset: str = "default",
    agent: tuple[str, ...] = (),
    steps: int = 150_000,
    lanes: int = 64,
    seed: int = 0,
    folder: Path | None = None,
    progress_bar: bool = True,
) -> None:
    """Train an agent and leave a run folder.

    Args:
        environment: an environment's id.
        env: keywords of the environment, KEY=VALUE.
        algorithm: an agent of this project, or PPO, SAC, ... of Stable-Baselines3.
        preset: "default" or "published", of WorldModelController.
        agent: keywords of the algorithm, KEY=VALUE.
        steps: environment steps.
        lanes: parallel lanes.
        seed: of nets, exploration and environment.
        folder: the run folder; default: a new one under runs/.
        progress_bar: show rate and time left.
    """
    check_agents()
    torch.set_num_threads(1)
    run = Run(environment, parse_keywords(env), algorithm, preset, parse_keywords(agent), steps, lanes, seed)
    folder = folder or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    illustrate(run, folder, *fit(run, folder, progress_bar))
    print(f"run folder {folder}\nwatch it live: python -m scripts.watch {folder}")


if __name__ == "__main__":
    tyro.cli(train)
