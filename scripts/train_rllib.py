"""Train the net of a RecurrentPPO with RLlib, on one machine or many. ``python -m scripts.train_rllib --help``."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from agents import RecurrentPPO

from .shared.about import circumstances
from .shared.cluster import joined, need_ray
from .shared.command import Refusal, program, run_command
from .shared.environments import is_native, parse_keywords
from .shared.logs import STEPS
from .shared.runs import Run, create_folder, read_config, write_json
from .shared.signals import STOPPING, announce_stop, handling
from .shared.tables import numeric, read_rows, write_rows
from .train import run_of, words_for

ALGORITHM = "RecurrentPPO"
STATE = "rllib"  # folder of RLlib's own checkpoint in a run folder
PARTS = ("env_runner", "learner_group")  # of it
MEASURES = {"return": "episode_return_mean", "length": "episode_len_mean"}


def train_rllib(
    environment: str | None = None,
    env: tuple[str, ...] = (),
    core: str | None = None,
    agent: tuple[str, ...] = (),
    steps: int | None = None,
    lanes: int | None = None,
    seed: int | None = None,
    runners: int = 0,
    learners: int = 0,
    address: str | None = None,
    minutes: float = 3.0,
    folder: Path | None = None,
    overwrite: bool = False,
    resume: Path | None = None,
    progress_bar: bool = True,
    trust: bool = False,
) -> None:
    """Train by the recipe of an id with RLlib's PPO, and leave a run folder that evaluate, watch and train read.

    Ctrl-C or a SIGTERM stops after the update at hand and a checkpoint. The net, the losses and the rollouts are those
    of RecurrentPPO; RLlib spreads them over processes and machines. A recipe of another agent gives way to RecurrentPPO
    with its defaults.

    Args:
        environment: an environment's id; "module:id" imports the module first, on every node.
        env: keywords of the environment, KEY=VALUE.
        core: name in agents.CORES.
        agent: keywords of RecurrentPPO, KEY=VALUE.
        steps: environment steps.
        lanes: parallel lanes of all runners together.
        seed: of nets, exploration and environment (default: 0).
        runners: processes that play; 0: this one.
        learners: processes that learn; 0: this one.
        address: of a Ray cluster, "auto" or host:port; default: one of its own on this machine.
        minutes: between checkpoints.
        folder: the run folder; default: a new one under runs/.
        overwrite: replace the run in --folder.
        resume: go on with the run in this folder; --steps may be raised. It needs --trust: RLlib pickles them.
        progress_bar: show rate and time left.
        trust: load a checkpoint, whose loading runs code that it holds, and import the modules that its run names.
    """
    need_ray()
    if runners < 0 or learners < 0:
        raise Refusal(f"--runners and --learners must be at least 0, got {runners} and {learners}")
    given = {name: value for name, value in (("steps", steps), ("lanes", lanes), ("seed", seed)) if value is not None}
    if resume is not None:
        if environment or env or core or agent or folder or given.keys() - {"steps"}:
            raise Refusal(
                "--resume takes everything from the folder; only --steps, and who shares the work, may change"
            )
        folder, run = resume, Run.from_config(read_config(resume, trust))
        run = replace(run, steps=max(run.steps, given.get("steps", 0)))
        if not all((folder / STATE / part).is_dir() for part in PARTS):
            raise Refusal(f"{folder} has no whole checkpoint of RLlib to go on from")
        if not trust:
            raise Refusal(f"RLlib's checkpoint in {folder} is pickled; if you trust it, pass --trust")
    else:
        own = {**parse_keywords(agent, "--agent"), **({"core": core} if core else {})}
        words = {"env": parse_keywords(env), "agent": own}
        run = run_of(environment, words, {"algorithm": ALGORITHM, **given})
        if run.lessons:
            print("the lessons of the recipe are left out: RLlib's PPO has no teacher", file=sys.stderr)
            run = replace(run, lessons={}, steps=given.get("steps", run.total))
    run.check()
    local_env = run.make_env()
    local: Any = run.make_agent(local_env)
    with closing(local_env), joined(address, 1 + runners + learners):
        if resume is None:
            folder = create_folder(run, folder, overwrite)
        stopped = learn(run, local, folder, runners, learners, minutes, resume is not None, progress_bar)
    print(f"run folder {folder}")
    if stopped:
        print(f"go on with: {program('train-rllib')} --resume {shlex.quote(str(folder))} --trust", file=sys.stderr)
        raise SystemExit(128 + stopped)
    print(f"score it: {program('evaluate')} {words_for(run, folder)}")


def learn(
    run: Run,
    local: RecurrentPPO,
    folder: Path,
    runners: int,
    learners: int,
    minutes: float,
    resumes: bool,
    progress_bar: bool,
) -> int | None:
    """Train with RLlib, and write progress.csv, checkpoints and, at last, the local agent; the signal that ended it."""
    import ray

    from agents.adapters.rllib import ppo_config, to_local, to_rllib

    env_id = f"foveal_envs:{run.env_id}" if is_native(run.env_id) and ":" not in run.env_id else run.env_id
    try:
        config = ppo_config(
            local, env_id, {**run.env_kwargs, **run.train_kwargs}, runners=runners, learners=learners,
            total_timesteps=run.steps,
        )  # fmt: skip
    except ValueError as error:
        raise Refusal(str(error)) from error
    algorithm = config.build_algo()
    about, saved, started = circumstances("cpu"), time.monotonic(), time.monotonic()
    rows: list[dict[str, Any]] = []
    stop: int | None = None

    def note(number: int, frame: Any) -> None:
        nonlocal stop
        stop = number
        announce_stop()

    try:
        if resumes:
            algorithm.restore_from_path(str((folder / STATE).resolve()))
        else:
            to_rllib(local, algorithm)
        done = int(algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime"), default=0))
        if resumes:
            rows = [row for row in numeric(read_rows(folder / "progress.csv")) if row[STEPS] <= done]
            started -= rows[-1]["seconds"] if rows else 0.0
        bar = tqdm(total=run.steps, initial=done, unit="step", file=sys.stderr, disable=not progress_bar or None)
        with bar, handling(note, STOPPING):
            while done < run.steps and stop is None:
                played = algorithm.train()["env_runners"]
                done = int(played["num_env_steps_sampled_lifetime"])
                bar.update(done - bar.n)
                measures = {name: float(played.get(key, np.nan)) for name, key in MEASURES.items()}
                rows.append({STEPS: done, "seconds": round(time.monotonic() - started, 2), **measures})
                if time.monotonic() - saved >= 60 * minutes or done >= run.steps or stop is not None:
                    _save(algorithm, folder)
                    write_rows(folder / "progress.csv", rows)
                    saved = time.monotonic()
        to_local(algorithm, local)
        local.num_timesteps = done
        local.save(folder / "model.zip")
        write_json(folder / "config.json", asdict(run))  # whose steps may have been raised
        ended = "finished" if stop is None else f"stopped by {signal.Signals(stop).name}"
        about |= {"ended": ended, "engine": f"RLlib {ray.__version__}", "runners": runners, "learners": learners}
        write_json(folder / "about.json", about)
    finally:
        algorithm.stop()
    return stop


def _save(algorithm: Any, folder: Path) -> None:
    """Write a checkpoint beside the last one, which it then replaces."""
    fresh, old = folder / f".{STATE}", folder / f".{STATE}-old"
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    algorithm.save_to_path(str(fresh.resolve()))
    if (folder / STATE).exists():
        (folder / STATE).rename(old)
    fresh.rename(folder / STATE)
    shutil.rmtree(old, ignore_errors=True)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(train_rllib, program("train-rllib"), words)


if __name__ == "__main__":
    main()
