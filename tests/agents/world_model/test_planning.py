"""Planning: the action that M and V say is best, with C's own among those that are tried."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import WorldModelController, make_sb3
from agents.common.encoder import Encoder
from agents.world_model.model import WorldModel
from agents.world_model.planning import Planner
from agents.world_model.policy import ControllerPolicy
from agents.world_model.returns import Returns

from .test_controller import SMALL, point

BOX = gym.spaces.Box(-2, 2, (1,), np.float32)


class Line(WorldModel):
    """A point on a line, which an action moves by a tenth of itself."""

    def step(self, observation, action, state, episode_start):
        return observation + 0.1 * action[:, :1], state


def line(actions, evaluator=None, **keywords):
    model = Line(Encoder(BOX), 1, reward=False, core_kwargs={"hidden": (2,)})
    near_zero = lambda predicted, desired: -predicted["observation"].abs().sum(-1)  # noqa: E731
    return Planner(ControllerPolicy(BOX, actions), Returns(model, evaluator, near_zero, 0.9), **keywords)


def test_it_moves_to_where_the_objective_is_best():
    torch.manual_seed(0)
    planner = line(gym.spaces.Box(-1, 1, (1,), np.float32), horizon=1, candidates=64, spread=1.0)
    for layer in planner.policy.head.parameters():
        torch.nn.init.zeros_(layer)
    x = np.linspace(-1, 1, 21, dtype=np.float32)[:, None]
    actions, _ = planner.predict(x)
    assert (actions[np.abs(x) > 0.1] * x[np.abs(x) > 0.1] < -0.05).all()
    np.testing.assert_allclose(actions[10], 0.0, atol=0.05)  # in the middle C's own is best


def test_choices_are_all_tried():
    torch.manual_seed(0)
    planner = line(gym.spaces.Discrete(2), horizon=1, candidates=20)  # choice 0 moves, choice 1 does not
    actions, state = planner.predict(np.float32([[-1.0], [1.0]]))
    assert actions.tolist() == [0, 1]
    assert planner.predict(np.float32([[-1.0], [1.0]]), state)[0].tolist() == [0, 1]
    assert planner.predict(np.float32([1.0]))[0] == 1


def test_what_follows_counts_by_the_discount_and_v():
    class Two(torch.nn.Module):
        def target(self, observation, memory, desired):
            return 10 * observation[:, 0]

    planner = line(gym.spaces.Discrete(2), Two(), horizon=3)
    for layer in planner.policy.head.parameters():
        torch.nn.init.zeros_(layer)
    with torch.no_grad():
        planner.policy.head.bias[1] = 5.0  # C stays
    tried = torch.eye(2)[:, None]
    seen, desired = torch.tensor([[0.5]]), torch.zeros(1, 0)
    worths = planner._worths(tried, seen, desired, (), (), torch.tensor([True]))
    wanted = [-x * (1 + 0.9 + 0.81) + 0.729 * 10 * x for x in (0.6, 0.5)]
    torch.testing.assert_close(worths.squeeze(1), torch.tensor(wanted))


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "goals"])
@pytest.mark.parametrize("core", ["feedforward", "lstm"])
def test_every_agent_plans_with_states_of_its_own(env_id, core):
    cores = {"core": core, "model_core": core, "core_kwargs": {}, "model_core_kwargs": {}}
    env = point(4) if env_id == "goals" else make_sb3(env_id, 4, seed=0)
    agent = WorldModelController("MultiInputPolicy" if env_id == "goals" else "MlpPolicy", env, **{**SMALL, **cores})
    agent.learn(200, log_interval=None)
    obs = env.reset()
    actions, state = agent.predict(obs, plan=True)
    for _ in range(3):
        actions, state = agent.predict(obs, state, np.array([False, True, False, False]), plan=True)
        obs, *_ = env.step(actions)
    assert len(state) == 2
    assert [len(part) > 0 for part in state] == [core == "lstm"] * 2


def test_impossible_settings_are_named():
    for name, value in (("horizon", 0), ("horizon", 1.5), ("candidates", 1), ("spread", -1.0), ("spread", np.nan)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            line(gym.spaces.Discrete(2), **{name: value})
    with pytest.raises(ValueError, match="not a planner's"):
        line(gym.spaces.Discrete(2)).predict(np.float32([[1.0]]), (torch.zeros(1, 2),))
    agent = WorldModelController("MultiInputPolicy", point(2), error="terminal", **SMALL)
    with pytest.raises(ValueError, match='error="summed"'):
        agent.predict(agent.env.reset(), plan=True)


def test_a_deterministic_plan_is_the_same_every_time_and_draws_nothing_of_others():
    planner = line(gym.spaces.Box(-1, 1, (1,), np.float32))
    x = np.float32([[0.5]])
    before = torch.random.get_rng_state()
    first, second = (planner.predict(x, deterministic=True)[0] for _ in range(2))
    assert first == second
    assert torch.equal(before, torch.random.get_rng_state())
    assert planner.predict(x)[0] != planner.predict(x)[0]
