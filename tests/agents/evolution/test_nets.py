"""Both forms of every net, and the policy around it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import AttentionAgent, EvolvedPolicy, make_sb3
from agents.evolution.attention import Attention
from agents.evolution.nets import Net
from agents.evolution.policy import NETS

NAMES = [*sorted(NETS), "linear, differences"]
IMAGE = 24, 31, 3


def example(name: str, outputs: int = 2) -> Net:
    kind, _, option = name.partition(", ")
    return NETS[kind](IMAGE if NETS[kind].sees_images else 5, outputs, **({option: True} if option else {}))


def inputs(net: Net, count: int, generator: np.random.Generator) -> np.ndarray:
    if net.sees_images:
        return generator.integers(0, 256, (count, *IMAGE)).astype(np.uint8)
    return generator.normal(size=(count, net.inputs))


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_form_equals_the_one_in_pytorch(name: str) -> None:
    net, generator = example(name), np.random.default_rng(0)
    weights, who = generator.normal(size=(4, net.size)), np.array([2, 0, 2, 1, 3, 3])
    state, out = np.zeros((6, net.state_size)), np.zeros((6, 2))
    twins = torch.zeros(6, net.state_size, dtype=torch.float64)
    for _ in range(4):
        x = inputs(net, 6, generator)
        net.kernel(weights, who, np.ones(6, bool), x, state, out)
        rows = [
            net.forward(torch.from_numpy(weights[c]), torch.from_numpy(x[i : i + 1]), twins[i : i + 1])
            for i, c in enumerate(who)
        ]
        twins = torch.cat([after for _, after in rows])
        np.testing.assert_allclose(out, torch.cat([y for y, _ in rows]).numpy(), atol=1e-12)
        np.testing.assert_allclose(state, twins.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_lane_does_not_depend_on_the_others_and_rests(name: str) -> None:
    net, generator = example(name, 3), np.random.default_rng(1)
    weights, x = generator.normal(size=(9, net.size)), inputs(net, 9, generator)
    start = generator.normal(size=(9, net.state_size))
    state, out = start.copy(), np.zeros((9, 3))
    active = np.arange(9) != 4
    net.kernel(weights, np.arange(9), active, x, state, out)
    assert (state[4] == start[4]).all()
    assert (out[4] == 0).all()
    for i in (0, 8):
        own, alone = start[i : i + 1].copy(), np.zeros((1, 3))
        net.kernel(weights[i : i + 1], np.zeros(1, np.int64), np.ones(1, bool), x[i : i + 1], own, alone)
        assert alone.tobytes() == out[i].tobytes()
        assert own.tobytes() == state[i].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_layers_have_their_scales(name: str) -> None:
    net = example(name)
    layer = next(iter(net.layers))
    scale = net.spread({layer: 7.0})
    assert (scale == 7).sum() == np.prod(net.layers[layer])
    assert len(scale) == net.size == sum(np.prod(shape) for shape in net.layers.values())
    with pytest.raises(ValueError, match=rf"layers .*{layer}.*'colour'"):
        net.spread({"colour": 1.0})
    with pytest.raises(ValueError, match="positive"):
        net.spread({layer: 0.0})


def test_attention_has_the_published_size_and_finds_what_stands_out() -> None:
    assert Attention((96, 96, 3), 3).size == 3667
    assert Attention((96, 96, 3), 1).size == 3633
    net = Attention((40, 40, 1), 1, patches=1)
    parts = net.parts(torch.zeros(net.size, dtype=torch.float64))
    parts["key"][:, 0], parts["query_bias"][0] = 1.0, 1.0  # all patches look for brightness
    weights = torch.cat([part.flatten() for part in parts.values()]).numpy()[None]
    image = np.zeros((1, 40, 40, 1), np.uint8)
    image[0, 16:23, 28:35] = 255
    state = np.zeros((1, net.state_size))
    net.kernel(weights, np.zeros(1, np.int64), np.ones(1, bool), image, state, np.zeros((1, 1)))
    np.testing.assert_allclose(state[0, -2:], [19.5 / 40, 31.5 / 40])
    with pytest.raises(ValueError, match="fewer than 10 patches"):
        Attention((10, 10, 3), 1)
    with pytest.raises(ValueError, match="sees images"):
        EvolvedPolicy(gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2), net="attention")


def test_attended_places_are_told_in_pixels() -> None:
    observes, acts = gym.spaces.Box(0, 255, (32, 48, 3), np.uint8), gym.spaces.Discrete(3)
    agent = AttentionAgent(env=None, _init_setup_model=False)
    agent.observation_space, agent.action_space = observes, acts
    agent._setup_model()
    agent.policy.weights.data.normal_()
    _, state = agent.predict(observes.sample()[None])
    places = agent.attended(state)
    assert places.shape == (1, 10, 2)
    assert (places > 3).all()
    assert (places[..., 0] < 48 - 3).all()
    assert (places[..., 1] < 32 - 3).all()


def test_the_search_begins_with_attention_at_random() -> None:
    """One step of sigma away from zero, another for another seed; the LSTM begins at zero."""
    drawn = []
    for seed in (0, 0, 1):
        env = make_sb3("Foveal/TakeCover-v0", 1, seed=0, size=32, actuators="directions")
        agent = AttentionAgent(env=env, seed=seed, sigma=0.5, scales={"key": 2.0})
        parts = agent.policy.net.parts(agent.policy.weights.detach())
        drawn.append(parts)
        for name, part in parts.items():
            spread = {"query": 0.5, "key": 1.0}.get(name)
            if spread is not None:
                assert 0.9 * spread < part.std() < 1.1 * spread
            elif name in ("query_bias", "key_bias"):
                assert (part != 0).all()
            else:
                assert (part == 0).all()
    assert (drawn[0]["query"] == drawn[1]["query"]).all()
    assert (drawn[0]["query"] != drawn[2]["query"]).all()


SPACES: list[tuple[Any, Any]] = [
    (gym.spaces.Box(-1, 1, (2, 3)), gym.spaces.Box(np.array([-1, 0], np.float32), np.array([1, 8], np.float32))),
    (gym.spaces.Discrete(5, start=2), gym.spaces.Discrete(3, start=-1)),
    (
        gym.spaces.Dict({"b": gym.spaces.Box(0, 255, (4, 4, 1), np.uint8), "a": gym.spaces.Discrete(2)}),
        gym.spaces.MultiDiscrete([2, 4]),
    ),
    (gym.spaces.Box(-1, 1, (2,)), gym.spaces.MultiBinary(3)),
]


@pytest.mark.parametrize(("observes", "acts"), SPACES)
def test_every_space_has_its_actions(observes: Any, acts: Any, tmp_path: Any) -> None:
    policy = EvolvedPolicy(observes, acts, net="recurrent", net_kwargs={"hidden": 4})
    with torch.no_grad():
        policy.weights.copy_(torch.randn(policy.net.size, dtype=torch.float64))
    observes.seed(0)
    obs, state, actions = observes.sample(), None, []
    for _ in range(3):
        action, state = policy.predict(obs, state)
        assert acts.contains(action)
        actions.append(action)
    policy.save(tmp_path / "policy.zip")
    again, _ = EvolvedPolicy.load(tmp_path / "policy.zip").predict(obs)
    np.testing.assert_array_equal(again, actions[0])


def test_whole_numbers_are_rounded() -> None:
    """Where the net says its most, the action is the last whole number."""
    box = gym.spaces.Box(-1, 1, (1,))
    for space in (gym.spaces.Box(-2, 5, (1,), np.int32), gym.spaces.Box(0, 255, (1,), np.uint8)):
        actions = EvolvedPolicy(box, space).actions(np.array([[-9.0], [-0.001], [0.001], [9.0]]))
        middle = (int(space.low[0]) + int(space.high[0])) // 2
        assert actions.dtype == space.dtype
        np.testing.assert_array_equal(actions[:, 0], [space.low[0], middle, middle + 1, space.high[0]])


def test_the_policy_is_a_module_with_gradients() -> None:
    policy = EvolvedPolicy(gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-1, 1, (1,)), net="lstm")
    policy.weights.data.normal_()
    x = torch.randn(1, 2)
    y, state = policy(x)
    y.sum().backward()
    assert policy.weights.grad is not None
    action, own = policy.predict(x[0].numpy())
    np.testing.assert_allclose(action, np.tanh(y[0].detach().numpy()), atol=1e-6)
    np.testing.assert_allclose(own, state.detach().numpy(), atol=1e-6)


def test_what_it_cannot_do_is_refused() -> None:
    box, action = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2)
    with pytest.raises(ValueError, match=r"net must be one of .*lstm"):
        EvolvedPolicy(box, action, net="colour")
    with pytest.raises(ValueError, match=r"net_kwargs do not fit linear.*hidden"):
        EvolvedPolicy(box, action, net="linear", net_kwargs={"hidden": 3})
    with pytest.raises(ValueError, match="hidden must be a whole number"):
        EvolvedPolicy(box, action, net="lstm", net_kwargs={"hidden": 0})
    with pytest.raises(ValueError, match="differences must be True or False, got 3"):
        EvolvedPolicy(box, action, net_kwargs={"differences": 3})
    assert EvolvedPolicy(box, action, net="lstm", net_kwargs={"hidden": np.int64(2)}).net.state_size == 4
    for nothing in (gym.spaces.Box(-1, 1, (0,)), gym.spaces.Dict({})):
        with pytest.raises(ValueError, match="at least one number"):
            EvolvedPolicy(nothing, action)
    with pytest.raises(ValueError, match="bounds"):
        EvolvedPolicy(box, gym.spaces.Box(-np.inf, np.inf, (2,)))
    with pytest.raises(ValueError, match="observations must be"):
        EvolvedPolicy(gym.spaces.MultiBinary(3), action)
