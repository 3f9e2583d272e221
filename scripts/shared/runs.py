"""Run folders: what a training run leaves behind, and how agents and references are loaded from a name or a path.

A run folder holds ``model.zip`` and ``config.json``: ``{"algorithm": "WorldModelController", "env_id": "Foveal/...",
"env_kwargs": {...}, ...}``.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np

from foveal_envs import FovealEnv, FovealVectorEnv, Task
from foveal_envs.reference import REFERENCES, RandomPolicy, make_reference

ROOT = Path(__file__).resolve().parents[2]


@runtime_checkable
class Predictor(Protocol):
    """Anything with the ``predict`` of Stable-Baselines3: agents and references."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]: ...


def check_agents() -> None:
    """Stop with a message if ``agents``, a common import name, is not this project's package."""
    found = importlib.util.find_spec("agents")
    origin = Path(found.origin).resolve() if found is not None and found.origin else None
    if origin is None or origin.parent.parent != ROOT:
        raise SystemExit(
            f"the package `agents` that Python finds ({origin or 'none'}) is not this project's ({ROOT / 'agents'}): "
            f"run the command from {ROOT}, or remove the other `agents` from PYTHONPATH or with `pip uninstall agents`"
        )


def read_config(folder: str | Path) -> dict[str, Any]:
    """The configuration of a run folder.

    Raises:
        SystemExit: there is none; the message says what was looked for.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise SystemExit(f"{folder} is no run folder: it has no config.json (python -m scripts.train writes one)")
    config: dict[str, Any] = json.loads(path.read_text())
    missing = {"algorithm", "env_id", "env_kwargs"} - config.keys()
    if missing:
        raise SystemExit(f"{path} lacks {', '.join(sorted(missing))}")
    return config


def load_agent(name: str | Path, env: gym.vector.VectorEnv[Any, Any, Any], seed: int | None = None) -> Predictor:
    """An agent or reference that predicts actions for ``env``.

    Args:
        name: a reference as "random" or "elm", a run folder, or a model's zip file with config.json beside it.
        env: vector environment it will act in.
        seed: of a reference that draws.

    Raises:
        SystemExit: there is no such reference or file; the message lists what is possible.
    """
    path = Path(name)
    if str(name) in REFERENCES:
        if str(name) == "random":
            return RandomPolicy(env, seed)
        try:
            reference: Predictor = make_reference(str(name), env)
        except ValueError as error:
            raise SystemExit(str(error)) from error
        return reference
    if path.is_dir():
        path = path / "model.zip"
    if not path.is_file():
        raise SystemExit(f"no agent {str(name)!r}: give {', '.join(REFERENCES)}, a run folder or a model.zip")
    agent: Predictor = algorithm(read_config(path.parent)["algorithm"]).load(path, device="cpu")
    return agent


def algorithm(name: str) -> Any:
    """The class of an agent of this project or of Stable-Baselines3, by its name.

    Raises:
        SystemExit: neither has it.
    """
    check_agents()
    import stable_baselines3

    import agents

    found = agents.AGENTS.get(name) or getattr(stable_baselines3, name, None)
    if found is None:
        raise SystemExit(f"unknown algorithm {name!r}: known are {', '.join(agents.AGENTS)} and those of SB3")
    return found


def parse_keywords(pairs: Iterable[str]) -> dict[str, Any]:
    """Keywords of an environment from ``KEY=VALUE`` words; a value is JSON, a Python literal, or else a string.

    Raises:
        SystemExit: a word without "=".
    """
    keywords: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SystemExit(f"--env takes KEY=VALUE, as shape=L or rotate=true; got {pair!r}")
        keywords[key] = _literal(value)
    return keywords


def _literal(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text


def find_environment(environment: str, keywords: dict[str, Any]) -> tuple[str, dict[str, Any], str | None]:
    """What the first word of a command means.

    Args:
        environment: an environment's id, or a run folder, whose id and keywords are taken.
        keywords: override those of the run.

    Returns:
        id, keywords, and the agent of the run folder (None for an id).
    """
    if Path(environment).is_dir():
        config = read_config(environment)
        return config["env_id"], {**config["env_kwargs"], **keywords}, environment
    return environment, keywords, None


def task_in(env: Any) -> Task | None:
    """The task of an environment of this package, wrapped or not; None for another package's."""
    return env.unwrapped.task if isinstance(env.unwrapped, FovealEnv | FovealVectorEnv) else None


def make_lanes(
    env_id: str, keywords: dict[str, Any], num_envs: int, **more: Any
) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The vector environment of an id: its native one where it has one, else Gymnasium's SyncVectorEnv.

    Raises:
        SystemExit: no such id or an impossible keyword; the message is the environment's.
    """
    try:
        native = gym.spec(env_id).vector_entry_point is not None
        mode = "vector_entry_point" if native else "sync"
        return gym.make_vec(env_id, num_envs, vectorization_mode=mode, **more, **keywords)
    except (gym.error.Error, ModuleNotFoundError, TypeError, ValueError) as error:
        raise SystemExit(f"cannot make {env_id}: {error}") from error
