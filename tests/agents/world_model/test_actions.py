"""What C's outputs mean in every kind of action space, and the gradient that they carry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.world_model.actions import make_actions

SPACES = {
    "box": spaces.Box(np.float32([-2, 0]), np.float32([2, 1])),
    "unbounded": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "half bounded": spaces.Box(np.float32([0, -1]), np.float32([np.inf, 1])),
    "matrix": spaces.Box(-1, 1, (2, 3), np.float32),
    "discrete": spaces.Discrete(4, start=2),
    "several": spaces.MultiDiscrete([3, 2], start=[0, 5]),
}


@pytest.mark.parametrize("name", SPACES)
def test_every_vector_is_an_action_of_the_space(name):
    space = SPACES[name]
    torch.manual_seed(0)
    actions = make_actions(space)
    net = 3 * torch.randn(50, actions.size)
    scale = torch.rand(50, 1)
    for vectors in (
        actions.likely(net),
        actions.sample(net),
        actions.explore(net, scale, actions.noise(net)),
        actions.uniform(50),
    ):
        assert vectors.shape == (50, actions.size)
        for action in actions.to_env(vectors):
            assert space.contains(action if np.ndim(action) else np.int64(action)), (name, action)


@pytest.mark.parametrize("name", SPACES)
def test_vectors_of_actions_are_the_inverse_of_actions_of_vectors(name):
    space = SPACES[name]
    space.seed(0)
    actions = make_actions(space)
    given = np.stack([space.sample() for _ in range(20)])
    vectors = actions.from_env(given)
    assert vectors.shape == (20, actions.size)
    assert vectors.dtype == torch.float32
    np.testing.assert_array_equal(actions.to_env(vectors), given)
    with pytest.raises(ValueError, match="shape"):
        actions.from_env(given[0])


def test_what_is_no_action_is_refused():
    for name, wrong in (("discrete", [1]), ("discrete", [6]), ("discrete", [2.5]), ("several", [[0, 4]])):
        with pytest.raises(ValueError, match="an action is not one of"):
            make_actions(SPACES[name]).from_env(wrong)
    with pytest.raises(ValueError, match="finite"):
        make_actions(SPACES["box"]).from_env([[np.nan, 0]])


def test_choices_are_drawn_with_their_probabilities_and_the_gradient_passes_straight_through():
    torch.manual_seed(0)
    actions = make_actions(SPACES["several"])
    net = torch.tensor([0.0, 1.0, 2.0, 0.5, -0.5], requires_grad=True)
    drawn = actions.sample(net.expand(20_000, -1))
    soft = torch.cat((net[:3].softmax(0), net[3:].softmax(0)))
    torch.testing.assert_close(drawn.mean(0), soft, rtol=0, atol=0.012)
    assert torch.equal(drawn.detach().round(), drawn.detach().round().clamp(0, 1))
    worth = torch.tensor([1.0, -2.0, 3.0, 0.5, 4.0])
    (own,) = torch.autograd.grad((actions.likely(net[None]) * worth).sum(), net, retain_graph=True)
    (wanted,) = torch.autograd.grad((soft * worth).sum(), net)
    torch.testing.assert_close(own, wanted)
    assert actions.to_env(actions.likely(net[None])).tolist() == [[2, 5]]


def test_exploration_of_choices_goes_from_own_to_random():
    torch.manual_seed(0)
    actions = make_actions(SPACES["discrete"])
    net = torch.tensor([[20.0, 0.0, 0.0, 0.0]]).expand(4000, -1)
    own, random = (actions.explore(net, torch.full((4000, 1), scale), actions.noise(net)) for scale in (0.0, 1.0))
    assert (own[:, 0] > 0.5).all()
    assert (random[:, 0] > 0.5).float().mean() == pytest.approx(0.25, abs=0.03)


def test_other_spaces_are_refused():
    for space in (spaces.MultiBinary(3), spaces.MultiDiscrete([[2, 2], [2, 2]]), spaces.Text(3)):
        with pytest.raises(ValueError, match="Box, Discrete, or MultiDiscrete of one axis"):
            make_actions(space)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_random_actions_and_noise_persist(env_id):
    """At 0.9 ten steps on average; never beyond the end of an episode."""
    from agents import WorldModelController, make_sb3

    env = make_sb3(env_id, 16, seed=0)
    agent = WorldModelController("MlpPolicy", env, seed=0, persistence=0.9, model_steps=3200, updates=0, core_kwargs={})
    agent.learn(3200, log_interval=None)
    window = agent.replay.newest(200)
    same = (window["action"][1:] == window["action"][:-1]).all(-1)
    within = ~window.flag("episode_start")[1:]
    chance = 0.5 if env_id == "CartPole-v1" else 0.0
    assert same[within].float().mean() == pytest.approx(0.9 + 0.1 * chance, abs=0.02)
    if not within.all():
        assert same[~within].float().mean() == pytest.approx(chance, abs=0.1)
    net = torch.zeros(16, agent.policy.actions.size)
    fresh = torch.ones(16, dtype=torch.bool)
    first = agent.exploration._persistent(agent.policy.actions.noise(net), fresh, 0.9)
    again = agent.exploration._persistent(agent.policy.actions.noise(net), ~fresh, 0.9)
    kept = (first == again).all(1)
    assert 8 <= kept.sum() <= 16
    assert not (agent.exploration._persistent(agent.policy.actions.noise(net), fresh, 0.9) == again).all(1).any()


def test_a_box_of_whole_numbers_gets_whole_numbers() -> None:
    space = spaces.Box(0, 5, (2,), np.int32)
    actions = make_actions(space).to_env(torch.tensor([[3.738, 4.6], [-0.2, 5.3]]))
    assert actions.dtype == np.int32
    assert actions.tolist() == [[4, 5], [0, 5]]
