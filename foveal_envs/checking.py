"""check_vector_env: the checker for vector environments that Gymnasium lacks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

VectorEnv = gym.vector.VectorEnv[Any, Any, Any]
SEED = 123


def check_vector_env(
    make: Callable[[int], VectorEnv],
    num_envs: int = 3,
    steps: int = 200,
    single: Callable[[], gym.Env[Any, Any]] | None = None,
) -> None:
    """Check that a vector environment keeps Gymnasium's contract; works for environments of any package.

    Checked: batched spaces, the autoreset mode in the metadata, observations in their space, dtypes and shapes of
    rewards and flags, ``_key`` masks of infos, the same episodes from the same seed, lanes that do not depend on the
    number of lanes, the rules of the autoreset mode (a reset after an end, ``final_obs`` in SAME_STEP, ``reset_mask``
    in DISABLED), that later steps do not overwrite observations already returned, and, if ``single`` is given, that
    lane i equals the single environment seeded ``seed + i``.

    Args:
        make: called with a number of lanes, returns a new vector environment.
        num_envs: lanes to check with, at least 2.
        steps: steps to check with; let them span several episodes.
        single: returns a new single environment that equals one lane, time limit included.

    Raises:
        AssertionError: names the first rule that is broken, the step and the lane.
    """
    if num_envs < 2:
        raise ValueError(f"check with at least 2 lanes, got {num_envs}")
    env = make(num_envs)
    _check_spaces(env, num_envs)
    lanes = _run(env, steps)
    _assert_equal(lanes, _run(env, steps), "the same environment reset to the same seed")
    for n in (1, num_envs + 2):
        _assert_equal(lanes, _run(make(n), steps), f"{n} lanes instead of {num_envs}")
    if single is not None:
        mode = env.metadata["autoreset_mode"]
        _assert_equal(lanes, [_run_single(single(), i, steps, mode) for i in range(num_envs)], "single environments")
    _check_kept(env)
    env.close()


def _check_spaces(env: VectorEnv, num_envs: int) -> None:
    assert env.num_envs == num_envs, f"num_envs must be {num_envs}, got {env.num_envs}"
    mode = env.metadata.get("autoreset_mode")
    assert isinstance(mode, AutoresetMode), f"metadata['autoreset_mode'] must be an AutoresetMode, got {mode!r}"
    for name in ("observation", "action"):
        space, batch = getattr(env, f"single_{name}_space"), getattr(env, f"{name}_space")
        assert batch == batch_space(space, num_envs), f"{name}_space must batch single_{name}_space, got {batch}"


def _actions(env: VectorEnv) -> Iterator[Any]:
    """Random actions; those of a lane depend on its index alone."""
    spaces = [copy.deepcopy(env.single_action_space) for _ in range(env.num_envs)]
    for i, space in enumerate(spaces):
        space.seed(i)
    while True:
        out = create_empty_array(env.single_action_space, env.num_envs)
        samples = [space.sample() for space in spaces]
        yield concatenate(env.single_action_space, samples, out)  # type: ignore[arg-type]


def _run(env: VectorEnv, steps: int) -> list[list[Any]]:
    """What each lane saw: lane -> list of (observation, reward, terminated, truncated, final observation)."""
    mode = env.metadata["autoreset_mode"]
    observation, infos = env.reset(seed=SEED)
    _check_batch(env, observation, infos, "reset")
    traces = [[(row, 0.0, False, False, None)] for row in _rows(env, observation)]
    ended = np.zeros(env.num_envs, bool)
    for step, action in zip(range(steps), _actions(env), strict=False):
        if mode is AutoresetMode.DISABLED and ended.any():
            observation, infos = env.reset(options={"reset_mask": ended.copy()})
            _check_batch(env, observation, infos, f"step {step}, reset with a mask")
            for i in np.flatnonzero(ended).tolist():
                traces[i].append((_rows(env, observation)[i], 0.0, False, False, None))
        observation, rewards, terminated, truncated, infos = env.step(action)
        _check_batch(env, observation, infos, f"step {step}")
        _check_flags(env, rewards, terminated, truncated, step)
        if mode is AutoresetMode.NEXT_STEP:
            wrong = ended & ((rewards != 0) | terminated | truncated)
            assert not wrong.any(), f"step {step}, lane {np.argmax(wrong)}: a step that resets has reward 0 and no end"
        ended = terminated | truncated
        finals = [None] * env.num_envs
        if mode is AutoresetMode.SAME_STEP and ended.any():
            assert "final_obs" in infos, f"step {step}: SAME_STEP gives infos['final_obs'] where an episode ends"
            mask = infos["_final_obs"]
            assert (mask == ended).all(), f"step {step}: infos['_final_obs'] must be {ended}, got {mask}"
            finals = list(infos["final_obs"])
        for i, row in enumerate(_rows(env, observation)):
            last = (row, float(rewards[i]), bool(terminated[i]), bool(truncated[i]))
            traces[i].append((*last, copy.deepcopy(finals[i]) if ended[i] else None))
    return traces


def _run_single(env: gym.Env[Any, Any], lane: int, steps: int, mode: AutoresetMode) -> list[Any]:
    """The same trace from one single environment, reset as the mode would reset it."""
    observation, _ = env.reset(seed=SEED + lane)
    space = copy.deepcopy(env.action_space)
    space.seed(lane)
    trace: list[Any] = [(observation, 0.0, False, False, None)]
    ended = False
    for _ in range(steps):
        action = space.sample()
        if ended and mode is not AutoresetMode.SAME_STEP:
            trace.append((env.reset()[0], 0.0, False, False, None))
            ended = False
            if mode is AutoresetMode.NEXT_STEP:
                continue
        observation, reward, terminated, truncated, _ = env.step(action)
        ended, final = terminated or truncated, None
        if ended and mode is AutoresetMode.SAME_STEP:
            observation, final = env.reset()[0], observation
        trace.append((observation, float(reward), terminated, truncated, final))
    env.close()
    return trace


def _rows(env: VectorEnv, observation: Any) -> list[Any]:
    return [copy.deepcopy(row) for row in iterate(env.observation_space, observation)]


def _check_batch(env: VectorEnv, observation: Any, infos: dict[str, Any], where: str) -> None:
    assert env.observation_space.contains(observation), f"{where}: the observation is not in {env.observation_space}"
    for name, value in infos.items():
        if not name.startswith("_") and not isinstance(value, dict):
            mask = infos.get(f"_{name}")
            right = isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == (env.num_envs,)
            assert right, f"{where}: infos['_{name}'] must be a bool array ({env.num_envs},) beside '{name}'"


def _check_flags(env: VectorEnv, rewards: Any, terminated: Any, truncated: Any, step: int) -> None:
    for name, array, kinds in (
        ("rewards", rewards, "f"),
        ("terminated", terminated, "b"),
        ("truncated", truncated, "b"),
    ):
        right = isinstance(array, np.ndarray) and array.shape == (env.num_envs,) and array.dtype.kind in kinds
        assert right, f"step {step}: {name} must be an array ({env.num_envs},) of kind {kinds!r}, got {array!r}"
    assert np.isfinite(rewards).all(), f"step {step}, lane {np.argmin(np.isfinite(rewards))}: the reward is not finite"


def _assert_equal(lanes: list[list[Any]], others: list[list[Any]], against: str) -> None:
    for i, (lane, other) in enumerate(zip(lanes, others, strict=False)):
        for step, (a, b) in enumerate(zip(lane, other, strict=False)):
            for name, x, y in zip(("observation", "reward", "terminated", "truncated", "final_obs"), a, b, strict=True):
                same = data_equivalence(_plain(x), _plain(y), exact=True)
                assert same, f"lane {i}, entry {step}: {name} differs from {against}"


def _plain(value: Any) -> Any:
    """A value without the difference between a number of Python and one of NumPy: single environments give either."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.ndim == 0 else value


def _check_kept(env: VectorEnv) -> None:
    """Observations handed out stay as they are, unless the environment says copy=False."""
    if getattr(env, "copy", True):
        observation, _ = env.reset(seed=SEED)
        before = copy.deepcopy(observation)
        env.step(next(_actions(env)))
        assert data_equivalence(observation, before, exact=True), "a later step overwrote an observation handed out"
