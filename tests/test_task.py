"""What tasks declare of themselves, and whether they keep it: over all ids."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs import Task
from foveal_envs.rendering import Canvas, pixels

from .conftest import CASES, IDS, case_name

every_case = pytest.mark.parametrize(("id", "keywords"), CASES, ids=case_name)
N = 3


def lanes(id: str, **keywords: object) -> gym.vector.VectorEnv:
    env = gym.make_vec(id, N, vectorization_mode="vector_entry_point", **keywords)
    env.reset(seed=0)
    return env


@every_case
def test_a_gaze_that_is_steered_comes_nearer_to_a_place(id: str, keywords: dict[str, object]) -> None:
    env = lanes(id, **keywords)
    task, worlds = env.unwrapped.task, env.unwrapped.get_state()["worlds"]
    places = 0.3 * np.array([task.render_size] * N)
    if not task.steers_gaze:
        with pytest.raises(NotImplementedError, match="no gaze to steer"):
            task.aim(worlds, places)
        return
    actions = task.aim(worlds, places)
    assert env.action_space.contains(actions)
    env.step(actions)
    before, after = (np.abs(w["gaze"][:, :2] - places).max(1) for w in (worlds, env.unwrapped.get_state()["worlds"]))
    assert (after <= before + 1e-3).all()
    assert (after < before).any()


@every_case
def test_fovea_classes_and_targets_are_as_declared(id: str, keywords: dict[str, object]) -> None:
    env = lanes(id, **keywords)
    task, worlds = env.unwrapped.task, env.unwrapped.get_state()["worlds"]
    if task.fovea is not None:
        canvas = Canvas(task.render_size)
        task.paint(worlds, 0, canvas)
        assert pixels(canvas.finish()).std() > 0.0
    targets = task.targets(worlds)
    if targets is not None:
        assert targets.shape == (N, 2)
        assert (targets >= 0).all()
        assert (targets <= task.render_size).all()
    if not task.names:
        with pytest.raises(NotImplementedError, match="no classes"):
            task.say(env.action_space.sample(), np.zeros(N, int))
    else:
        env.step(task.say(env.action_space.sample(), np.arange(N) % len(task.names)))
        assert env.unwrapped.get_state()["worlds"]["answer"].tolist() == [n % len(task.names) for n in range(N)]


@pytest.mark.parametrize("id", IDS)
def test_a_table_or_an_attribute_error(id: str) -> None:
    """Learners ask any environment for an attribute `table`, so it must be absent where there is none."""
    env = lanes(id)
    if id not in ("Foveal/HQMaze-v0", "Foveal/KeyDoorMaze-v0"):
        with pytest.raises(AttributeError, match="table"):
            env.unwrapped.get_attr("table")
        return
    moves_to, codes, rewards, ends, start, _ = env.unwrapped.get_attr("table")[0]
    assert moves_to.shape == rewards.shape == (len(codes), env.single_action_space.n)
    assert ends.sum() == 1
    assert env.unwrapped.get_state()["worlds"]["state"].tolist() == [start] * N


def test_a_task_of_the_user_can_do_none_of_it_by_default() -> None:
    task = Task()
    assert (task.fovea, task.steers_gaze, task.names, task.limits) == (None, False, (), {})
    assert task.targets(np.zeros(1)) is None
    with pytest.raises(NotImplementedError, match="Task has no oracle"):
        task.oracle(np.zeros(1))
