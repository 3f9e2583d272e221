from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import DQN, HerReplayBuffer
from torch import Tensor

from agents.values.factorisation import Horde, bootstrap, factorise, fit_factors, fit_table
from agents.values.uvfa import Concatenated, TwoStream, TwoStreamExtractor

CELLS, DISCOUNT = 6, 0.9


def corridor() -> tuple[Tensor, Tensor]:
    """Where left and right lead from each of six cells (S, 2), and Q(s, g, a) = 0.9^(steps from there to g)."""
    cells = torch.arange(CELLS)
    after = torch.stack(((cells - 1).clamp(min=0), (cells + 1).clamp(max=CELLS - 1)), 1)
    return after, (DISCOUNT ** (after[:, None] - cells[None, :, None]).abs()).float()


def test_factors_restore_what_was_not_seen() -> None:
    torch.manual_seed(0)
    table = torch.randn(30, 3) @ torch.randn(3, 20)
    seen = torch.rand(30, 20) < 0.6
    rows, columns = factorise(table, seen, 3, ridge=1e-6, sweeps=100)
    torch.testing.assert_close(rows @ columns.T, table, atol=0.02, rtol=0.02)
    torch.testing.assert_close(rows.T @ rows / 30, torch.eye(3), atol=1e-4, rtol=0)


def test_demons_learn_the_values_of_every_goal_from_the_same_steps() -> None:
    after, values = corridor()
    horde, state = Horde(CELLS, CELLS, 2), torch.arange(CELLS)
    for _ in range(CELLS):
        for action in range(2):
            led = after[:, action]
            arrived = (led[:, None] == torch.arange(CELLS)).float()
            horde.update(state, torch.full((CELLS,), action), led, arrived, DISCOUNT * (1 - arrived))
    assert horde.seen.all()
    torch.testing.assert_close(horde.values, values, atol=1e-5, rtol=0)


@pytest.mark.parametrize("fit", [fit_factors, fit_table])
def test_two_streams_learn_a_table(fit: Any) -> None:
    torch.manual_seed(0)
    _, values = corridor()
    one_hot, known = torch.eye(CELLS), torch.ones_like(values, dtype=torch.bool)
    net = TwoStream(CELLS, CELLS, 2, CELLS, hidden=(32,), symmetric=fit is fit_factors)
    errors = fit(net, one_hot, one_hot, values, known, updates=600, batch_size=64, learning_rate=1e-2)
    assert errors[-1] < 0.02 * errors[0]
    learned = net(one_hot.repeat_interleave(CELLS, 0), one_hot.repeat(CELLS, 1)).view(CELLS, CELLS, 2)
    assert (learned - values).abs().mean() < 0.05


def test_unseen_entries_do_not_teach() -> None:
    torch.manual_seed(0)
    one_hot, table = torch.eye(2), torch.tensor([[[1.0], [100.0]], [[2.0], [3.0]]])
    seen = torch.tensor([[[True], [False]], [[True], [True]]])
    net = Concatenated(2, 2, hidden=(16,))
    fit_table(net, one_hot, one_hot, table, seen, updates=300, batch_size=16, learning_rate=2e-2)
    assert abs(net(one_hot[:1], one_hot[:1]).item() - 1.0) < 0.2
    assert net(one_hot[:1], one_hot[1:]).item() < 10


def test_values_bootstrap_from_transitions() -> None:
    torch.manual_seed(0)
    after, values = corridor()
    one_hot = torch.eye(CELLS)

    def sample(count: int) -> tuple[Tensor, ...]:
        state, goal, action = (torch.randint(high, (count,)) for high in (CELLS, CELLS, 2))
        led = after[state, action]
        arrived = (led == goal).float()
        return one_hot[state], one_hot[goal], action, one_hot[led], arrived, DISCOUNT * (1 - arrived)

    net = Concatenated(CELLS, CELLS, 2, hidden=(64,))
    bootstrap(net, sample, updates=1500, batch_size=64, learning_rate=5e-3, follow=0.1)
    learned = net(one_hot.repeat_interleave(CELLS, 0), one_hot.repeat(CELLS, 1)).view(CELLS, CELLS, 2)
    assert (learned - values).abs().mean() < 0.08


def test_symmetric_nets_need_goals_that_are_states() -> None:
    for net in (Concatenated, TwoStream):
        with pytest.raises(ValueError, match="3 and 2 numbers"):
            net(3, 2, symmetric=True)


def test_an_off_policy_agent_of_stable_baselines_learns_with_two_streams() -> None:
    env = gym.make("foveal_envs:Foveal/FourRooms-v0")
    agent = DQN(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        policy_kwargs={"features_extractor_class": TwoStreamExtractor, "net_arch": []},
        learning_starts=150,
        seed=0,
        device="cpu",
    )
    before = next(agent.q_net.parameters()).clone()
    agent.learn(250)
    assert not torch.equal(before, next(agent.q_net.parameters()))
    with pytest.raises(ValueError, match="desired_goal"):
        TwoStreamExtractor(gym.spaces.Dict(observation=gym.spaces.Box(0, 1, (2,))))
