"""Measure speed, in ratios taken inside one run: ``python -m scripts.benchmark --help`` lists what can be timed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from foveal_envs import IDS

from .baselines.usual_way import ImageYardstick, Yardstick
from .benchmarks.cores import cores, fronts
from .benchmarks.libraries import libraries
from .benchmarks.load_limit import lines_of_a_glimpse, load_limit
from .benchmarks.populations import populations
from .benchmarks.timing import Claim, keep, new_folder, ratio, report, seconds
from .benchmarks.training import memory, training, workers
from .benchmarks.world_model import models
from .shared.command import program, run_one_of

DETECTION = "foveal_envs:Foveal/TargetDetection-v0"
GRIDS = ("FourRooms", "HQMaze", "KeyDoorMaze")
IMAGES = "foveal_envs:Foveal/ImageSearch-v0"
RETINAS = {40: "rings", 192: "multiscale", 193: "logpolar"}
LANES = (1, 64, 256, 1024)
FIRST_STEP = (  # seconds of the first environment and step, imports apart
    "import time, numpy, gymnasium, numba, foveal_envs.vector_env, foveal_envs.tasks.looking.target_detection;"
    "t = time.process_time();"
    f"e = gymnasium.make_vec('{DETECTION}', 256, vectorization_mode='vector_entry_point'); e.reset(seed=0);"
    "e.step(numpy.zeros((256, 2), numpy.float32)); print(time.process_time() - t)"
)
IMPORT = (  # seconds that foveal_envs adds to gymnasium
    "import time, gymnasium; t = time.process_time(); import foveal_envs; print(time.process_time() - t)"
)


def envs(quick: bool = False, json_output: bool = False, output: Path | None = None) -> None:
    """Speed of TargetDetection beside CartPole, SyncVectorEnv and the same task written the usual way; and of mazes.

    One thread, CPU time. All environments take turns for a few milliseconds, so that a drift of the machine meets all.

    Args:
        quick: a tenth of the rounds.
        json_output: print JSON instead of tables.
        output: folder for timings.csv and claims.csv; default: a new one under runs/benchmark/.
    """
    rounds = 20 if quick else 200
    steppers = make_steppers()
    nanoseconds = measure(steppers, rounds)
    report(
        nanoseconds,
        compare(nanoseconds) + startup(repeats=1 if quick else 5),
        json_output,
        output or new_folder("envs"),
    )


def images(quick: bool = False, json_output: bool = False, output: Path | None = None) -> None:
    """Speed of the image bank, as of ImageSearch in 8 textures, beside the same task written the usual way, and beside
    the load-and-cache-line limit: loading cache lines of the bank at random and writing the observation, once with a
    line for every field, and once with as few lines as a glimpse needs, whose fields share some.

    Args:
        quick, json_output, output: as of ``envs``.
    """
    steppers: dict[str, tuple[Callable[[int], None], int]] = {}
    for fields, retina in RETINAS.items():
        env = _native(IMAGES, 256, target="glimpse", retina=retina)
        steppers[f"image bank, {fields} fields, N = 256"] = (stepper(env), 256)
        steppers[f"the usual way, {fields} fields"] = (stepper(ImageYardstick(retina)), 1)
        steppers[f"a cache line a field, {fields} fields"] = (load_limit(env, fields), 256)
        lines = lines_of_a_glimpse(env.unwrapped.task)  # type: ignore[attr-defined]
        steppers[f"distinct cache lines, {fields} fields"] = (load_limit(env, lines), 256)
    nanoseconds = measure(steppers, 20 if quick else 200)
    report(nanoseconds, compare_images(nanoseconds), json_output, output or new_folder("images"))


def compare_images(nanoseconds: dict[str, np.ndarray]) -> list[Claim]:
    """The ratios of the image bank that have a bar."""
    claims = []
    for fields, bar in ((40, 70.0), (192, 80.0), (193, 80.0)):
        own, usual = f"image bank, {fields} fields, N = 256", f"the usual way, {fields} fields"
        claims.append(ratio(nanoseconds, f"the usual way / image bank, {fields} fields", usual, own, ">=", bar))
        for limit in ("a cache line a field", "distinct cache lines"):
            name = f"image bank / {limit}, {fields}"
            claims.append(ratio(nanoseconds, name, own, f"{limit}, {fields} fields", "<=", 4.0))
    return claims


def suite(rounds: int = 10, output: Path | None = None, lanes: tuple[int, ...] = LANES) -> None:
    """Steps and observation values a second of every id and of CartPole, one row a round, as ``suite.csv``.

    One lane is ``gym.make``, more are the native vector environment; random actions, CPU time of one thread.

    Args:
        rounds: of about 10 milliseconds each.
        output: folder of the file; default: a new one under runs/benchmark/.
        lanes: numbers of lanes.
    """
    rows: list[dict[str, Any]] = []
    for n in lanes:
        steppers, values = {}, {}
        for id in ["CartPole-v1", *IDS]:
            env = gym.make(id) if n == 1 else _native(id, n)
            space = env.observation_space if n == 1 else env.single_observation_space
            values[id], steppers[id] = gym.spaces.flatdim(space), (stepper(env), n)
        measured = measure(steppers, rounds)
        rows += [
            {
                "seed": turn, "environment": id.removeprefix("Foveal/"), "lanes": n, "values": values[id],
                "steps_per_second": round(1e9 / each), "values_per_second": round(1e9 * values[id] / each),
                "times_CartPole": round(each / measured["CartPole-v1"][turn], 3),
            }
            for id in steppers for turn, each in enumerate(measured[id].tolist())
        ]  # fmt: skip
    keep((output or new_folder("suite")) / "suite.csv", rows, "python -m scripts.benchmark suite")
    for row in rows:
        if row["seed"] == rounds - 1:
            print(f"{row['environment']:28} {row['lanes']:5} {row['steps_per_second']:12,} {row['times_CartPole']:8}")


def make_steppers() -> dict[str, tuple[Callable[[int], None], int]]:
    """What is timed: a function that makes so many calls of ``step``, and the environment steps of one call."""
    detection: Callable[..., Any] = lambda **keywords: gym.make(DETECTION, **keywords)  # noqa: E731
    makers: dict[str, tuple[Callable[[], Any], int]] = {
        "CartPole, native, N = 256": (lambda: _native("CartPole-v1", 256), 256),
        "CartPole, gym.make": (lambda: gym.make("CartPole-v1"), 1),
        **{f"native, N = {n}": (lambda n=n: _native(DETECTION, n), n) for n in (1, 64, 256, 1024)},
        "native, N = 256, goal=None": (lambda: _native(DETECTION, 256, goal=None), 256),
        "native, N = 256, concat": (lambda: _native(DETECTION, 256, goal_format="concat"), 256),
        "SyncVectorEnv, N = 256": (lambda: gym.make_vec(DETECTION, 256, vectorization_mode="sync"), 256),
        "gym.make": (detection, 1),
        "the usual way": (Yardstick, 1),
        "MazeNavigation, N = 256": (lambda: _native("foveal_envs:Foveal/MazeNavigation-v0", 256), 256),
        "CartPole, native, N = 1024": (lambda: _native("CartPole-v1", 1024), 1024),
    }
    for name in GRIDS:
        makers[f"{name}, N = 1024"] = (lambda name=name: _native(f"foveal_envs:Foveal/{name}-v0", 1024), 1024)
    if importlib.util.find_spec("ap_gym") is not None:
        makers["ap_gym, CircleSquare"] = (lambda: gym.make("ap_gym:CircleSquare-v0"), 1)
    else:
        print("ap_gym is not installed: left out", file=sys.stderr)
    return {name: (stepper(make()), steps) for name, (make, steps) in makers.items()}


def _native(id: str, num_envs: int, **keywords: Any) -> gym.vector.VectorEnv[Any, Any, Any]:
    return gym.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **keywords)


def stepper(env: Any) -> Callable[[int], None]:
    """A function that steps ``env`` so many times with random actions, and resets it where it does not do so itself."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(64)]
    env.reset(seed=0)
    alone = not isinstance(env, gym.vector.VectorEnv)
    taken = 0

    def steps(count: int) -> None:
        nonlocal taken
        for _ in range(count):
            _, _, terminated, truncated, _ = env.step(actions[taken % 64])
            taken += 1
            if alone and (terminated or truncated):
                env.reset()

    return steps


def measure(steppers: dict[str, tuple[Callable[[int], None], int]], rounds: int) -> dict[str, np.ndarray]:
    """CPU nanoseconds (rounds,) of one environment step, of each; every round times each for about 10 milliseconds."""
    calls = {}
    for name, (steps, _) in steppers.items():
        steps(3)
        calls[name] = max(1, round(0.01 / seconds(steps, 10) * 10))
    nanoseconds = {name: np.empty(rounds) for name in steppers}
    for turn in tqdm(range(rounds), desc="rounds", unit="round", file=sys.stderr, disable=None):
        for name, (steps, per_call) in steppers.items():
            count = calls[name]
            nanoseconds[name][turn] = 1e9 * seconds(steps, count) / (count * per_call)
    return nanoseconds


def compare(nanoseconds: dict[str, np.ndarray]) -> list[Claim]:
    """The ratios that have a bar."""

    native, cartpole, many_cartpoles = "native, N = 256", "CartPole, native, N = 256", "CartPole, native, N = 1024"
    return [
        ratio(nanoseconds, "native / CartPole native, a step", native, cartpole, "<=", 0.7),
        ratio(nanoseconds, "gym.make / CartPole gym.make, a step", "gym.make", "CartPole, gym.make", "<=", 1.0),
        ratio(nanoseconds, "SyncVectorEnv / native, a step", "SyncVectorEnv, N = 256", native, ">=", 7.0),
        ratio(nanoseconds, "the usual way / native, a step", "the usual way", native, ">=", 200.0),
        ratio(nanoseconds, "MazeNavigation / CartPole, N = 256", "MazeNavigation, N = 256", cartpole, "<=", 8.0),
        *(
            ratio(nanoseconds, f"{name} / CartPole, N = 1024", f"{name}, N = 1024", many_cartpoles, "<=", 1.0)
            for name in GRIDS
        ),
    ]


def startup(repeats: int) -> list[Claim]:
    """Import time, and the first step with an empty and with a full cache of machine code."""
    imports = [_child(IMPORT) for _ in range(repeats)]
    with tempfile.TemporaryDirectory() as cache:
        cold = _child(FIRST_STEP, NUMBA_CACHE_DIR=cache)
        warm = [_child(FIRST_STEP, NUMBA_CACHE_DIR=cache) for _ in range(repeats)]
    return [
        Claim("import foveal_envs beyond gymnasium", min(imports), float(np.median(imports)), "s", "<=", 0.1),
        Claim("first step, cold", cold, cold, "s", "<=", 15.0),
        Claim("first step, warm", min(warm), float(np.median(warm)), "s", "<=", 1.0),
    ]


def _child(code: str, **variables: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    timed = envs, images, suite, training, workers, memory, cores, fronts, models, populations, libraries
    run_one_of(timed, program("benchmark"), words)


if __name__ == "__main__":
    main()
