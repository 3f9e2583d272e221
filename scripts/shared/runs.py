"""Run folders: what a training run leaves behind, and how agents and references are loaded from a name or a path.

A run folder holds ``model.zip`` and ``config.json``: ``{"algorithm": "WorldModelController", "env_id": "Foveal/...",
"env_kwargs": {...}, ...}``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np

from foveal_envs import FovealEnv, FovealVectorEnv, Task
from foveal_envs.reference import REFERENCES, RandomPolicy, make_reference

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

ROOT = Path(__file__).resolve().parents[2]
LARGEST_CONFIG = 1_000_000  # bytes
# What Stable-Baselines3's algorithms pickle into their files. Most is made anew when one is loaded.
PICKLED = (
    "policy_class", "policy_kwargs", "observation_space", "action_space", "learning_rate", "lr_schedule", "clip_range",
    "clip_range_vf", "exploration_schedule", "train_freq", "replay_buffer_class", "replay_buffer_kwargs",
    "rollout_buffer_class", "rollout_buffer_kwargs", "action_noise", "_last_obs", "_last_episode_starts",
    "_last_original_obs", "ep_info_buffer", "ep_success_buffer",
)  # fmt: skip


@runtime_checkable
class Predictor(Protocol):
    """Anything with the ``predict`` of Stable-Baselines3: agents and references."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]: ...


@dataclass
class Run:
    """Configuration of one training run; written to config.json.

    Attributes:
        env_id, env_kwargs: the environment.
        algorithm: name of an agent of this project or of Stable-Baselines3.
        preset: of WorldModelController; not used by other algorithms.
        agent_kwargs: keywords of the algorithm; ``replay_buffer_class="HerReplayBuffer"`` relabels goals.
        steps: environment steps.
        lanes: parallel lanes.
        seed: of nets and exploration; lane 0 is seeded 10,000 (seed + 1).
    """

    env_id: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "WorldModelController"
    preset: str = "default"
    agent_kwargs: dict[str, Any] = field(default_factory=dict)
    steps: int = 150_000
    lanes: int = 64
    seed: int = 0

    def make_env(self) -> Any:
        """The VecEnv to train in."""
        from agents.common.vec_env import make_sb3

        return make_sb3(self.env_id, self.lanes, seed=10_000 * (self.seed + 1), **self.env_kwargs)

    def make_agent(self, env: Any) -> BaseAlgorithm:
        """The untrained agent for a VecEnv."""
        cls = algorithm(self.algorithm)
        if self.algorithm == "WorldModelController":
            agent: BaseAlgorithm = cls.from_preset(self.preset, env, seed=self.seed, **self.agent_kwargs)
            return agent
        return cls(env=env, seed=self.seed, **self.keywords(env.observation_space))  # type: ignore[no-any-return]

    def keywords(self, observation_space: gym.Space[Any]) -> dict[str, Any]:
        """Those of the algorithm's constructor, with the policy that suits the observations."""
        policy = "MultiInputPolicy" if isinstance(observation_space, gym.spaces.Dict) else "MlpPolicy"
        keywords = {"policy": policy, **self.agent_kwargs}
        if keywords.get("replay_buffer_class") == "HerReplayBuffer":
            from stable_baselines3 import HerReplayBuffer

            keywords["replay_buffer_class"] = HerReplayBuffer
        return keywords


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
        SystemExit: there is none, or it says what no run writes; the message names the file.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise SystemExit(f"{folder} is no run folder: it has no config.json (python -m scripts.train writes one)")
    if path.stat().st_size > LARGEST_CONFIG:
        raise SystemExit(f"{path} is larger than any run writes")
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise SystemExit(f"{path} is no JSON: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise SystemExit(f"{path} must hold a mapping, not {type(config).__name__}")
    missing = {"algorithm", "env_id", "env_kwargs"} - config.keys()
    if missing:
        raise SystemExit(f"{path} lacks {', '.join(sorted(missing))}")
    env_id, keywords = config["env_id"], config["env_kwargs"]
    if not isinstance(env_id, str) or not isinstance(keywords, dict):
        raise SystemExit(f"{path}: env_id must be a string and env_kwargs a mapping")
    if "task" in keywords:
        raise SystemExit(f"{path}: env_kwargs hold a task, which no run writes: an id names its own")
    module = env_id.partition(":")[0] if ":" in env_id else ""
    if module and module not in sys.modules:
        raise SystemExit(
            f"{path} names the module {module!r}, which would be imported; if you trust it, name it yourself: "
            f"give {env_id} as the environment, and {folder} as the agent"
        )
    return config


def load_agent(
    name: str | Path, env: gym.vector.VectorEnv[Any, Any, Any], seed: int | None = None, trust: bool = False
) -> Predictor:
    """An agent or reference that predicts actions for ``env``.

    Args:
        name: a reference as "random" or "elm", a run folder, or a model's zip file with config.json beside it.
        env: vector environment it will act in.
        seed: of a reference that draws.
        trust: also load files whose loading runs code that they hold.

    Raises:
        SystemExit: there is no such reference or file, or it is not to be loaded; the message says why in one line.
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
    config = read_config(path.parent)
    agent_class = algorithm(config["algorithm"])
    from agents import Agent
    from agents.common.archive import one_line

    try:
        if issubclass(agent_class, Agent):
            agent: Predictor = agent_class.load(path, device="cpu", trust=trust)
        else:
            own = {} if trust else unpickled(path, config, agent_class, env)
            agent = agent_class.load(path, device="cpu", custom_objects=own)
    except Exception as error:  # a damaged file may raise anything
        said = one_line(error)
        raise SystemExit(said if said.startswith(str(path)) else f"{path}: {said}") from error
    return agent


def unpickled(path: Path, config: dict[str, Any], agent_class: Any, env: Any) -> dict[str, Any]:
    """Objects in place of all that Stable-Baselines3 pickles into a file, so that loading it runs no code from it.

    Args:
        path: the file.
        config: of its run, by which the objects are made.
        agent_class: of Stable-Baselines3.
        env: the vector environment, which gives the spaces.

    Raises:
        ValueError: the file is compressed, or pickles something else.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.file_size != entry.compress_size for entry in archive.infolist()):
            raise ValueError("it is compressed, as no file of Stable-Baselines3 is; if you trust it, pass --trust")
        data = json.loads(archive.read("data"))
    pickled = {name for name, value in data.items() if isinstance(value, dict) and ":serialized:" in value}
    methods = {name for name in data if callable(getattr(agent_class, name, None))}
    foreign = (pickled - set(PICKLED)) | ({"env"} & data.keys()) | methods
    if foreign:
        raise ValueError(
            f"it holds more under {', '.join(sorted(foreign))} than Stable-Baselines3 writes there, and loading that "
            "would run code; if you trust it, pass --trust"
        )
    known = {field.name: config[field.name] for field in fields(Run) if field.name in config}
    keywords = Run(**known).keywords(env.single_observation_space)
    fresh = agent_class(env=None, device="cpu", _init_setup_model=False, **keywords)
    fresh.observation_space, fresh.action_space = env.single_observation_space, env.single_action_space
    return {name: getattr(fresh, name, None) for name in pickled}


def algorithm(name: str) -> Any:
    """The class of an agent of this project or of Stable-Baselines3, by its name.

    Raises:
        SystemExit: neither has it.
    """
    check_agents()
    import stable_baselines3
    from stable_baselines3.common.base_class import BaseAlgorithm

    import agents

    found = agents.AGENTS.get(str(name)) or getattr(stable_baselines3, str(name), None)
    if not (isinstance(found, type) and issubclass(found, BaseAlgorithm)):
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
        module, _, own_id = env_id.rpartition(":")
        if module:
            importlib.import_module(module)
        native = gym.spec(own_id).vector_entry_point is not None
        mode = "vector_entry_point" if native else "sync"
        return gym.make_vec(own_id, num_envs, vectorization_mode=mode, **more, **keywords)
    except (gym.error.Error, ImportError, OverflowError, TypeError, ValueError) as error:
        raise SystemExit(f"cannot make {env_id}: {' '.join(str(error).split())}") from error
