"""Environments by name: any Gymnasium id, "module:id", or a run folder; keywords from KEY=VALUE words."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym

import foveal_envs  # noqa: F401  registers the ids
from foveal_envs import FovealEnv, FovealVectorEnv, Task

from .command import Refusal

NATIVE = "foveal_envs.vector_env:FovealVectorEnv"


def parse_keywords(words: Iterable[str], option: str = "--env") -> dict[str, Any]:
    """Keywords from ``KEY=VALUE`` words; a value is JSON, a Python literal, or else a string.

    Args:
        words: of the command line.
        option: to which they belong, for the message.

    Raises:
        Refusal: a word without "=".
    """
    keywords: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise Refusal(f"{option} takes KEY=VALUE, as {option} name=3; got {word!r}")
        keywords[key] = _literal(value)
    return keywords


def _literal(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def find_spec(env_id: str) -> gym.envs.registration.EnvSpec:
    """The registered environment behind an id; "module:id" imports the module first.

    Raises:
        Refusal: there is none; the message names the nearest.
    """
    module, _, own_id = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gym.spec(own_id)
    except Exception as error:  # an imported module may raise anything
        raise Refusal(f"cannot make {env_id}: {error}") from error


@contextmanager
def refusing(env_id: str) -> Iterator[None]:
    """Inside, what an environment's constructor refuses becomes a `Refusal`, with the environment's message."""
    try:
        yield
    except (AssertionError, ImportError, OverflowError, TypeError, ValueError, gym.error.Error) as error:
        raise Refusal(f"cannot make {env_id}: {error}") from error


def untwinned(env_id: str) -> str:
    """The id whose flat twin an id is, else the id itself: both have one recipe, one reference and one unit."""
    return env_id.replace("-flat-v", "-v") if env_id.rpartition(":")[2].startswith("Foveal/") else env_id


def is_native(env_id: str) -> bool:
    """Whether an id is made by this package, many lanes in one."""
    return bool(find_spec(env_id).vector_entry_point == NATIVE)


def make_lanes(
    env_id: str, keywords: dict[str, Any], num_envs: int, **more: Any
) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The vector environment of an id: its native one where it has one, else Gymnasium's SyncVectorEnv.

    Args:
        env_id: any Gymnasium id, or "module:id".
        keywords: of the environment.
        num_envs: lanes.
        **more: of the vector environment; ``info`` is passed on only where the environment is one of this package.

    Raises:
        Refusal: no such id or an impossible keyword; the message is the environment's.
    """
    spec = find_spec(env_id)
    if not is_native(env_id):
        more.pop("info", None)
    mode = "vector_entry_point" if spec.vector_entry_point is not None else "sync"
    with refusing(env_id):
        return gym.make_vec(spec, num_envs, vectorization_mode=mode, **more, **keywords)


def task_in(env: Any) -> Task | None:
    """The task of an environment of this package, wrapped or not; None for another package's."""
    return env.unwrapped.task if isinstance(env.unwrapped, FovealEnv | FovealVectorEnv) else None
