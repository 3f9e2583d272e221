"""Lessons: whose action is taken, what the teacher is told, and that a pupil learns without any reward."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import GymnasiumVecEnv, Lessons, Recogniser, RecurrentPPO
from foveal_envs.reference import make_reference
from scripts.shared.environments import make_lanes

from ..worlds import PointVectorEnv

SETTINGS = {"n_steps": 12, "core_kwargs": {"size": 16}, "policy_kwargs": {"net_arch": (16,)}, "seed": 0}


class Echo(gym.Env[Any, Any]):
    """Says 0 or 1; nothing earns anything."""

    observation_space, action_space = gym.spaces.Box(0, 1, (1,), np.float32), gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return self._say(), {}

    def step(self, action: int) -> Any:
        self.time += 1
        return self._say(), 0.0, self.time == 5, False, {}

    def _say(self) -> np.ndarray:
        return self.np_random.integers(0, 2, 1).astype(np.float32)


class Parity:
    """Shows whether an odd number of ones was said since the episode began, and notes what it is told."""

    def __init__(self) -> None:
        self.starts: list[np.ndarray] = []

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> Any:
        self.starts.append(episode_start.copy())
        said = observation[:, 0].astype(int)
        state = said if state is None else np.where(episode_start, said, state ^ said)
        return state, state


def test_the_teacher_acts_at_first_and_the_pupil_at_last() -> None:
    lessons = Lessons(Parity(), fade=0.5)
    shown, chosen = torch.ones(4000, 2), torch.zeros(4000, 2)
    shares = [lessons.mix(shown, chosen, remaining).mean().item() for remaining in (1.0, 0.75, 0.5, 0.2)]
    assert shares[0] == 1.0
    assert shares[1] == pytest.approx(0.5, abs=0.05)
    assert shares[2:] == [0.0, 0.0]
    assert lessons.mix(torch.ones(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), 1.0).tolist() == [1, 1, 1]


def test_a_pupil_learns_what_is_never_rewarded() -> None:
    teacher, env = Parity(), GymnasiumVecEnv(SyncVectorEnv([Echo] * 16, autoreset_mode=AutoresetMode.SAME_STEP))
    agent = RecurrentPPO("MlpPolicy", env, learning_rate=1e-3, **SETTINGS)
    schedule = agent.lr_schedule
    agent.imitate(teacher, 15_000, fade=0.5, learning_rate=1e-2, log_interval=None)
    assert agent.lr_schedule is schedule
    starts = np.array(teacher.starts)
    assert starts[::5].all()
    assert starts.sum() == 16 * len(starts[::5])
    obs, state, right = env.reset(), None, []
    start, truth = np.ones(16, bool), None
    for _ in range(40):
        expected, truth = teacher.predict(obs, truth, start)
        actions, state = agent.predict(obs, state, start, deterministic=True)
        right.append(actions == expected)
        obs, _, start, _ = env.step(actions)
    assert np.mean(right) > 0.98  # chance: 0.5


class Doubt(Parity):
    """Is sure of the parity to 4 in 5."""

    def probabilities(self, observation: Any, state: Any = None, episode_start: Any = None) -> Any:
        odd, state = self.predict(observation, state, episode_start)
        return np.where(odd[:, None] == np.arange(2), 0.8, 0.2).astype(np.float32), state


def test_probabilities_of_a_teacher_are_learned() -> None:
    teacher, env = Doubt(), GymnasiumVecEnv(SyncVectorEnv([Echo] * 16, autoreset_mode=AutoresetMode.SAME_STEP))
    agent = RecurrentPPO("MlpPolicy", env, **SETTINGS)
    agent.imitate(teacher, 15_000, learning_rate=1e-2, log_interval=None)
    assert agent.rollout.count == 0
    obs, state, truth, start = env.reset(), agent.policy.core.initial_state(16), None, np.ones(16, bool)
    for _ in range(20):
        wanted, truth = teacher.probabilities(obs, truth, start)
        distribution, _, state = agent.policy.step(torch.as_tensor(obs), state, torch.as_tensor(start))
        np.testing.assert_allclose(distribution.distribution.probs.detach().numpy(), wanted, atol=0.1)
        obs, _, start, _ = env.step(wanted.argmax(1))
    agent.learn(400, log_interval=None)


def test_a_recogniser_imitates_saccades_and_names_by_itself(tmp_path: Any) -> None:
    lanes = make_lanes("Foveal/SameDifferent-v0", {"proprioception": True}, 32, autoreset_mode="same_step")
    settings = {**SETTINGS, "core_kwargs": {"size": 64}, "policy_kwargs": {"encoder": (64,), "net_arch": (32,)}}
    agent = Recogniser("RecognitionPolicy", GymnasiumVecEnv(lanes), classes=2, **settings)
    saccades = torch.rand(32, 2)
    glance, _, _ = agent.policy.step(
        torch.as_tensor(agent.env.reset()), agent.policy.core.initial_state(32), torch.ones(32, dtype=torch.bool)
    )
    assert torch.equal(torch.as_tensor(agent.policy.from_env(agent.policy.to_env(saccades, glance))), saccades)
    teacher = make_reference("seek", lanes)
    before = apart(agent, teacher)
    agent.imitate(teacher, 20_000, learning_rate=3e-3, log_interval=None)
    assert apart(agent, teacher) < 0.6 * before
    agent.save(tmp_path / "pupil")
    Recogniser.load(tmp_path / "pupil", env=agent.get_env()).learn(400, log_interval=None)


def apart(agent: Recogniser, teacher: Any) -> float:
    """Mean squared distance of the agent's saccades from the teacher's, over 60 steps of the agent's own gaze."""
    env = agent.get_env()
    assert env is not None
    obs, state, truth, start, errors = env.reset(), None, None, np.ones(32, bool), []
    for _ in range(60):
        expected, truth = teacher.predict(obs, truth, start)
        actions, state = agent.predict(obs, state, start, deterministic=True)
        errors.append(np.mean((actions[:, :2] - expected[:, :2]) ** 2))
        obs, _, start, _ = env.step(actions)
    return float(np.mean(errors))


def test_bad_lessons_are_refused() -> None:
    with pytest.raises(ValueError, match="fade"):
        Lessons(Parity(), fade=0.0)
    agent = RecurrentPPO("MultiInputPolicy", GymnasiumVecEnv(PointVectorEnv(4)), workers=2, **SETTINGS)
    with pytest.raises(ValueError, match="workers=1"):
        agent.imitate(Parity(), 100)
