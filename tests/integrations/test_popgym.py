"""POPGym's tasks, as `reproduce popgym` makes them, under our agents."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("popgym")

from agents import RecurrentPPO, make_sb3
from scripts.experiments import popgym


@pytest.mark.parametrize("task", popgym.TASKS)
def test_the_observation_is_one_vector_that_holds_the_last_action(task: str) -> None:
    env = gym.make(f"foveal_popgym/{task}-v0")
    first = env.reset(seed=0)[0]
    assert first.shape == env.observation_space.shape
    seen = []
    for action in (0, 1):
        env.reset(seed=0)
        wanted = env.action_space.sample() * 0 + action
        seen.append(env.step(wanted)[0])
    assert not np.array_equal(*seen)
    assert np.array_equal(env.reset(seed=0)[0], first)


@pytest.mark.parametrize("core", popgym.LEARNERS)
def test_policies_have_about_equal_numbers_of_parameters(core: str) -> None:
    name, keywords = popgym.LEARNERS[core]
    env = make_sb3(f"foveal_popgym/{popgym.EASIEST}-v0", 2)
    keywords = {**keywords, **popgym._size(name, keywords, env)}
    agent = RecurrentPPO("MlpPolicy", env, core=name, core_kwargs=keywords)
    reference = RecurrentPPO("MlpPolicy", env, core=popgym.REFERENCE, core_kwargs={"size": popgym.SIZE})
    own, wanted = (sum(part.numel() for part in one.policy.parameters()) for one in (agent, reference))
    assert own == pytest.approx(wanted, rel=0.1)


@pytest.mark.slow
def test_the_easiest_task_is_learned() -> None:
    (job,) = popgym.jobs((), 1, True)
    assert popgym.learn(job)[0]["return"] > 0.9
