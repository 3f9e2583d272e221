"""One big net: its traces, what it keeps of earlier tasks, and what it refuses."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import GymnasiumVecEnv, OneBigNet, load_checkpoint, make_sb3, save_checkpoint
from agents.world_model.traces import Running, Traces

from ..makers import make
from ..test_contract import bits


class Cue(gym.Env[np.ndarray, int]):
    """A cue, a blank, and then the answer counts: the cue itself in task 0, the other one in task 1."""

    observation_space = gym.spaces.Box(0.0, 1.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, task: int) -> None:
        self.task = task

    def _seen(self) -> np.ndarray:
        seen = np.zeros(4, np.float32)
        seen[2 + self.task] = 1.0
        if self.time == 0:
            seen[self.cue] = 1.0
        return seen

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.cue, self.time = int(self.np_random.integers(2)), 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        over, right = self.time == 1, int(action) == self.cue ^ self.task
        self.time += 1
        return self._seen(), float(over and right), over, False, {"is_success": right} if over else {}


def cue(task: int, lanes: int = 16) -> GymnasiumVecEnv:
    made = GymnasiumVecEnv(
        SyncVectorEnv([lambda: Cue(task) for _ in range(lanes)], autoreset_mode=AutoresetMode.SAME_STEP)
    )
    made.seed(5)
    return made


def right(agent: OneBigNet, task: int) -> float:
    """Share of right answers."""
    env, state, start, paid = cue(task, 64), None, np.ones(64, bool), np.zeros(64)
    obs = env.reset()
    for _ in range(2):
        actions, state = agent.predict(obs, state, start, deterministic=True)
        obs, paid, start, _ = env.step(actions)
    return float(paid.mean())


def learned_in_turn(consolidated: bool) -> OneBigNet:
    agent = OneBigNet(
        env=cue(0), learning_rate=1e-2, n_steps=16, n_minibatches=1, gamma=0.5, ent_coef=0.05, seed=1,
        core_kwargs={"size": 8},
    )  # fmt: skip
    agent.learn(5000, log_interval=None)
    assert right(agent, 0) == 1.0
    if consolidated:
        agent.consolidate(50)
        agent.begin_task(cue(1))
        assert float(agent.policy.actor[-1].weight.detach().abs().max()) < 0.02  # all actions are equally likely
    else:
        agent.set_env(cue(1))
    agent.learn(5000, reset_num_timesteps=False, log_interval=None)
    if consolidated:
        assert agent.consolidate(400).keys() == {"prediction", "value", "action"}
    return agent


def test_consolidation_keeps_what_fine_tuning_forgets() -> None:
    kept, forgot = learned_in_turn(True), learned_in_turn(False)
    assert right(kept, 0) == right(kept, 1) == 1.0
    assert right(forgot, 0) < 0.8
    assert [len(task) for task in kept.memories.tasks] == [1024, 1024, 0]
    assert [len(task) for task in forgot.memories.tasks] == [1024]  # nobody said that the task had changed


def test_a_training_resumed_between_two_tasks_ends_in_the_same_bits(tmp_path: Any) -> None:
    agent = make("OneBigNet").learn(160, log_interval=None)
    agent.consolidate(3, 8)
    save_checkpoint(agent, tmp_path)
    resumed = load_checkpoint(OneBigNet, tmp_path, make("OneBigNet").env)
    assert bits(resumed) == bits(agent)
    for one in (agent, resumed):
        torch.manual_seed(3)
        one.learn(160, reset_num_timesteps=False, log_interval=None)
        one.consolidate(3, 8)
    assert bits(resumed) == bits(agent)
    assert len(agent.memories.tasks) == 3


def test_a_consolidation_learns_where_a_schedule_has_come_to_its_end() -> None:
    agent = make("OneBigNet", learning_rate=lambda remaining: 1e-2 * remaining).learn(160, log_interval=None)
    before = next(agent.policy.parameters()).detach().clone()
    agent.consolidate(2, 8)
    assert not torch.equal(before, next(agent.policy.parameters()))


def test_a_saved_agent_keeps_its_traces(tmp_path: Any) -> None:
    agent = make("OneBigNet", traces=20).learn(320, log_interval=None)
    agent.save(tmp_path / "agent")
    loaded = OneBigNet.load(tmp_path / "agent")
    assert len(loaded.memories) == 20
    for (own, success), (other, said) in zip(agent.memories.tasks[0], loaded.memories.tasks[0], strict=True):
        assert torch.equal(own, other)
        assert success == said
    loaded.consolidate(2, 4)


def test_a_trace_is_what_was_seen_done_and_paid() -> None:
    agent = OneBigNet(env=cue(0, 2), n_steps=8, gamma=0.5, seed=0).learn(64, log_interval=None)
    traces, chances = agent.memories.columns()
    assert traces["x"].shape == (2, 32, 4)
    assert (traces["x"][1] == traces["next_percept"][0]).all()
    assert (traces["action"].sum(-1) == 1).all()
    wanted = traces["x"][0, :, :2].argmax(-1)
    paid = (traces["action"][1].argmax(-1) == wanted).float()
    torch.testing.assert_close(traces["reward"].squeeze(-1), torch.stack((torch.zeros(32), paid)))
    torch.testing.assert_close(traces["return"].squeeze(-1), torch.stack((0.5 * paid, paid)))
    assert (traces["good"].squeeze(-1) == paid).all()
    torch.testing.assert_close(chances, 0.5 / 32 + 0.5 * paid / paid.sum())


def test_running_episodes_are_told_apart_and_cut_where_they_are_too_long() -> None:
    running = Running(2, longest=3)
    times = [torch.full((2, 1), float(t)) for t in range(5)]
    assert running.add(times[0], [True, True], [False, True])[0][1].tolist() == [[0.0]]
    assert running.add(times[1], [False, True], [False, False]) == []
    saved = running.get_state()
    again = Running(2, longest=3)
    again.set_state(saved)
    for one in (running, again):
        ((lane, trace),) = one.add(times[2], [False, False], [True, False])
        assert (lane, trace.flatten().tolist()) == (0, [0.0, 1.0, 2.0])
        one.add(times[3], [True, False], [False, False])
        ((lane, trace),) = one.add(times[4], [False, False], [True, True])  # that of lane 1 has four steps
        assert (lane, trace.flatten().tolist()) == (0, [3.0, 4.0])
        assert one.rows == []
    with pytest.raises(ValueError, match="running episodes of 2 lanes do not fit 3"):
        Running(3, 3).set_state(saved)
    with pytest.raises(ValueError, match="begin at \\[0, 9\\]"):
        Running(2, 3).set_state({**saved, "begun": [0, 9]})


def test_where_nobody_says_what_went_well_the_better_half_did() -> None:
    traces = Traces({"return": 1}, capacity=4)
    for value in (9, 1, 2, 3, 4):  # the first is too old
        traces.add(torch.full((value, 1), float(value)), -1)
    assert traces.good(0).tolist() == [False, True, True, True]
    traces.begin_task()
    traces.begin_task()
    assert len(traces.tasks) == 2
    traces.add(torch.ones(5, 1), 0)
    laid, chances = traces.columns()
    assert laid["weight"].sum(0).flatten().tolist() == [1, 2, 3, 4, 5]
    assert laid["good"].sum(0).flatten().tolist() == [0, 2, 3, 4, 0]
    assert laid["return"].sum(0).flatten().tolist() == [1, 4, 9, 16, 5]
    torch.testing.assert_close(chances, torch.tensor([3, 7, 7, 7, 24]) / 48)
    with pytest.raises(ValueError, match="do not fit a width of 1"):
        traces.set_state([{"steps": torch.zeros(3, 2), "lengths": [3], "success": [1]}])


def test_tasks_of_other_spaces_and_impossible_calls_are_refused() -> None:
    agent = OneBigNet(env=cue(0, 2), n_steps=4, seed=0)
    with pytest.raises(ValueError, match=r"observation_space of the next task is Box.*\(3,\).* with a wrapper"):
        agent.set_env(make_sb3("Foveal/FlipFlop-v0", 2))
    with pytest.raises(ValueError, match="no whole episode of at most longest=1000 steps"):
        agent.consolidate()
    with pytest.raises(ValueError, match="updates must be a whole number of at least 1, not 0"):
        agent.consolidate(0)
    with pytest.raises(ValueError, match="observations must be a Box"):
        OneBigNet(env=make_sb3("Foveal/CuriosityGrid-v0", 2))


def test_it_is_made_by_the_names_of_policies_that_train_knows() -> None:
    for name, env in (("MlpPolicy", "CartPole-v1"), ("MultiInputPolicy", "Foveal/TargetDetection-v0")):
        assert type(OneBigNet(name, make_sb3(env, 1)).policy).__name__ == "OneNetPolicy"
