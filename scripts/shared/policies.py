"""Policies by name: references, trained agents from run folders or files, and the classes of algorithms."""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np

from foveal_envs.reference import REFERENCES, RandomPolicy, make_reference

from .command import Refusal
from .runs import BEST, CONTROLLER, Run, read_config

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


def load_agent(
    name: str | Path,
    env: gym.vector.VectorEnv[Any, Any, Any],
    seed: int | None = None,
    trust: bool = False,
    algorithm: str | None = None,
) -> Predictor:
    """An agent or reference that predicts actions for ``env``.

    Args:
        name: a reference as "random" or "elm", a run folder, or a model's zip file.
        env: vector environment it will act in.
        seed: of a reference that draws.
        trust: also load files whose loading runs code that they hold, and import the modules that they name.
        algorithm: class of the agent in a file without a config.json beside it.

    Raises:
        Refusal: there is no such reference or file, or it is not to be loaded.
    """
    if str(name) in REFERENCES:
        return reference(str(name), env, **({"seed": seed} if str(name) == "random" else {}))
    path = Path(name) / "model.zip" if Path(name).is_dir() else Path(name)
    if path.name == BEST and path.parent.is_dir() and not path.is_file():
        raise Refusal(f"{path.parent} has no {BEST}: too few training episodes have ended after the random moves")
    if not path.is_file():
        raise Refusal(f"no agent {str(name)!r}: give {', '.join(REFERENCES)}, a run folder or a model.zip")
    if algorithm is None:
        config = read_config(path.parent, trust)
    else:
        config = {"algorithm": algorithm, "env_id": "", "env_kwargs": {}}
    agent_class = algorithm_class(config["algorithm"])
    from agents import Agent

    keywords: dict[str, Any] = {}
    if (path.parent / CONTROLLER).is_dir():
        keywords["controller"] = load_agent(path.parent / CONTROLLER, env, trust=trust)
    with refusing_damage(path):
        if issubclass(agent_class, Agent):
            agent: Predictor = agent_class.load(path, device="cpu", trust=trust, **keywords)
        else:
            own = {} if trust else unpickled(path, config, agent_class, env)
            own |= {"replay_buffer_class": None, "replay_buffer_kwargs": {}}  # HER's wants the environment of training
            agent = agent_class.load(path, device="cpu", custom_objects=own)
    _check_spaces(path, agent, env)
    return agent


@contextmanager
def refusing_damage(path: Path, trying: str = "") -> Iterator[None]:
    """Inside, whatever the files at a path raise becomes a `Refusal` that names it: a damaged file may raise anything.

    Args:
        path: a file or folder.
        trying: words before it that say what cannot be done.
    """
    from agents.common.archive import one_line

    try:
        yield
    except Exception as error:
        said = one_line(error)
        raise Refusal(said if said.startswith(str(path)) else f"{trying}{path}: {said}") from error


def reference(name: str, env: gym.vector.VectorEnv[Any, Any, Any], **keywords: Any) -> Predictor:
    """A reference policy by name, with its own keywords.

    Raises:
        Refusal: it does not suit the environment, or does not take a keyword.
    """
    try:
        made: Predictor = make_reference(name, env, **keywords)
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from error
    return made


def _check_spaces(path: Path, agent: Any, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
    """Refuse an agent that was trained on other observations or actions."""
    for what in ("observation_space", "action_space"):
        own, given = getattr(agent, what), getattr(env, f"single_{what}")
        if own not in (given, _channels_first(given)):
            raise Refusal(
                f"{path} was trained with {what} {own}, but here it is {given}: give the --env of its training"
            )


def _channels_first(space: gym.Space[Any]) -> gym.Space[Any]:
    """A space whose images have their channels first, as agents of Stable-Baselines3 see them."""
    from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
    from stable_baselines3.common.vec_env import VecTransposeImage

    if isinstance(space, gym.spaces.Dict):
        return gym.spaces.Dict({key: _channels_first(part) for key, part in space.spaces.items()})
    if not is_image_space(space) or is_image_space_channels_first(space):  # type: ignore[arg-type]
        return space
    return VecTransposeImage.transpose_space(space)  # type: ignore[arg-type]


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
    keywords = Run(**known).keywords(agent_class, env.single_observation_space)
    written = str(data["policy_class"].get("__init__")) if "policy_class" in pickled else ""
    for alias, kind in agent_class.policy_aliases.items():
        if written.startswith(f"<function {kind.__qualname__}.__init__ "):
            keywords["policy"] = alias
    fresh = agent_class(env=None, device="cpu", _init_setup_model=False, **keywords)
    fresh.observation_space, fresh.action_space = _channels_first(env.single_observation_space), env.single_action_space
    return {name: getattr(fresh, name, None) for name in pickled}


def algorithm_class(name: str) -> Any:
    """The class of an agent of this project, of Stable-Baselines3, or of a user's module, "module:Class".

    Raises:
        Refusal: there is none.
    """
    import stable_baselines3
    from stable_baselines3.common.base_class import BaseAlgorithm

    import agents

    module, _, own = name.rpartition(":")
    if module:
        try:
            found = getattr(importlib.import_module(module), own, None)
        except Exception as error:  # an imported module may raise anything
            raise Refusal(f"cannot import {module}: {error}") from error
    else:
        found = agents.AGENTS.get(name) or getattr(stable_baselines3, name, None)
    if not (isinstance(found, type) and issubclass(found, BaseAlgorithm)):
        raise Refusal(
            f"unknown algorithm {name!r}: known are {', '.join(agents.AGENTS)}, those of Stable-Baselines3 "
            "as PPO or SAC, and your own as module:Class"
        )
    return found


def algorithm_name(kind: type) -> str:
    """The name by which `algorithm_class` finds a class: "module:Class" for one of a user's own."""
    import stable_baselines3

    import agents

    name = kind.__name__
    if kind in (agents.AGENTS.get(name), getattr(stable_baselines3, name, None)):
        return name
    module = kind.__module__
    if module == "__main__":  # of the file that runs, which is imported by its name
        module = Path(getattr(sys.modules[module], "__file__", None) or module).stem
    return f"{module}:{name}"


def fitting(env: Any) -> list[str]:
    """Names of the agents of this project whose constructors accept an environment's spaces.

    Args:
        env: vector environment, or VecEnv.
    """
    import agents

    observations = getattr(env, "single_observation_space", env.observation_space)
    actions = getattr(env, "single_action_space", env.action_space)
    return [name for name, kind in agents.AGENTS.items() if _fits(name, kind, observations, actions)]


# What has no default: anything that steers, and a field as wide as a square.
_NEEDED: dict[str, dict[str, Any]] = {
    "HierarchicalController": {"controller": RandomPolicy},
    "MapNavigator": {"policy_kwargs": {"fields": [[0.0, 0.0, 1.0]]}},
}


def _fits(name: str, kind: Any, observations: gym.Space[Any], actions: gym.Space[Any]) -> bool:
    try:
        kind(env=_Empty(observations, actions), **_NEEDED.get(name, {}))
    except Exception:  # a net for images raises its own where they are too small
        return False
    return True


class _Empty(gym.Env[Any, Any]):
    """An environment that has nothing but its spaces."""

    def __init__(self, observations: gym.Space[Any], actions: gym.Space[Any]) -> None:
        self.observation_space, self.action_space = observations, actions


def advice(env: Any) -> str:
    """A sentence that names the agents which fit an environment."""
    fits = fitting(env)
    return f"; {', '.join(fits)} fit its spaces" if fits else "; no agent of this project fits its spaces"
