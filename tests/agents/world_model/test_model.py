from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import CORES, ControllerPolicy, WorldModel
from agents.common.encoder import Encoder
from agents.common.sequences import Sequence

from ..worlds import Elman

UNIT = gym.spaces.Box(0, 1, (3,), np.float32)
GOALS = {"observation": UNIT, "achieved_goal": UNIT, "desired_goal": UNIT}
ACTIONS = gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 5.0]), dtype=np.float64)


@pytest.fixture(params=["feedforward", "elman"])
def nets(request, monkeypatch):
    """M and C with either kind of core, float64."""
    monkeypatch.setitem(CORES, "elman", Elman)
    torch.manual_seed(0)
    keywords = {"core": request.param, "core_kwargs": {} if request.param == "elman" else {"hidden": (6,)}}
    space = gym.spaces.Dict(GOALS)
    policy = ControllerPolicy(space, ACTIONS, **keywords)
    model = WorldModel(Encoder(space), 2, output="logistic", reward=False, **keywords)
    return policy.double(), model.double()


def sequence(nets, steps=6, batch=4, ends=0.3):
    policy, model = nets
    sizes = {"observation": 3, "desired_goal": 3, "action": 2, "next_percept": 3, "reward": 1, "terminated": 1}
    sizes |= {"ended": 1, "episode_start": 1}
    sizes |= {"controller_state": sum(part.numel() for part in policy.core.initial_state(1))}
    sizes |= {"model_state": sum(part.numel() for part in model.initial_state(1))}
    fields, width = {}, 0
    for name, size in sizes.items():
        fields[name] = slice(width, width + size)
        width += size
    data = torch.rand(steps, batch, width, dtype=torch.float64)
    result = Sequence(data, fields)
    ended = (torch.rand(steps, batch) < ends).double()
    result["ended"][:] = ended[..., None]
    result["episode_start"][1:] = ended[:-1, :, None]
    result["episode_start"][0] = 0
    goes_on = ended[:-1, :, None] == 0
    result["observation"][1:] = torch.where(goes_on, result["next_percept"][:-1], result["observation"][1:])
    return result


def test_real_forward_has_the_real_values_and_the_model_s_jacobian(nets):
    """Against the chain rule written out by hand, one column and one parameter of C at a time."""
    policy, model = nets
    seq = sequence(nets, ends=0.0, batch=1)
    percepts = model.real_forward(policy, seq).outputs
    assert torch.allclose(percepts, seq["next_percept"])
    bias = policy.head.bias
    ours = [torch.autograd.grad(percepts[-1, 0, i], bias, retain_graph=True)[0] for i in range(3)]

    def one_step(x, bias_value, t, states):
        inputs = torch.cat((x, seq["desired_goal"][t]), -1)
        hidden, controller = policy.core.step(inputs, states[0], seq.flag("episode_start")[t])
        logits = torch.nn.functional.linear(hidden, policy.head.weight, bias_value)
        action = policy.actions.likely(logits)
        action = action + (seq["action"][t] - action).detach()
        out, memory = model.step(x, action, states[1], seq.flag("episode_start")[t])
        return out, (controller, memory)

    states = model._states(policy, seq)
    if states[0]:
        flat = torch.zeros(5 + 5 + 3, 2, dtype=torch.float64)  # d(controller state, model state, x) / d bias
        split = lambda v: ((v[:5][None],), (v[5:10][None],) * 2, v[10:][None])  # noqa: E731
        for t in range(len(seq)):
            now = torch.cat((states[0][0][0], states[1][0][0], seq["observation"][t, 0]))

            def step(v, b, t=t):
                controller, memory, x = split(v)
                out, (c, m) = one_step(x, b, t, (controller, memory))
                return torch.cat((c[0][0], m[0][0], out[0]))

            by_state, by_bias = torch.autograd.functional.jacobian(step, (now, bias.detach()))
            flat = by_state @ flat + by_bias
            after = step(now, bias.detach()).detach()
            states = ((after[None, :5],), (after[None, 5:10],) * 2)  # an Elman net's output is its state
        expected = flat[10:]
    else:
        expected = torch.zeros(3, 2, dtype=torch.float64)
        for t in range(len(seq)):
            step = lambda x, b, t=t: one_step(x, b, t, states)[0][0]  # noqa: E731
            by_x, by_bias = torch.autograd.functional.jacobian(step, (seq["observation"][t], bias.detach()))
            expected = by_x[:, 0] @ expected + by_bias
    torch.testing.assert_close(torch.stack(ours), expected, rtol=1e-8, atol=1e-12)


def test_gradients_do_not_cross_the_end_of_an_episode(nets):
    policy, model = nets
    seq = sequence(nets, ends=0.4)
    whole = model.real_forward(policy, seq).outputs
    ended = seq.flag("ended")
    b = int(ended[:-1].any(0).nonzero()[0])
    t = int(ended[:-1, b].nonzero()[-1]) + 1
    tail = Sequence(seq.data[t:, b : b + 1], seq.fields)
    alone = model.real_forward(policy, tail).outputs
    parameters = list(policy.parameters())
    for one, other in zip(
        torch.autograd.grad(whole[-1, b].sum(), parameters, retain_graph=True),
        torch.autograd.grad(alone[-1, 0].sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_observe_equals_step_by_step(nets):
    policy, model = nets
    seq = sequence(nets)
    state = model._states(policy, seq)[1]
    for t, prediction in enumerate(model.observe(seq)):
        out, state = model.step(seq["observation"][t], seq["action"][t], state, seq.flag("episode_start")[t])
        torch.testing.assert_close(prediction, out)


def test_imagine_feeds_predictions_back(nets):
    policy, model = nets
    seq = sequence(nets)
    predictions = model.imagine(policy, seq, 3).outputs
    x, states, start = seq["observation"][0], model._states(policy, seq), seq.flag("episode_start")[0]
    for prediction in predictions:
        net, controller = policy.net(x, seq["desired_goal"][0], states[0], start)
        action = policy.actions.likely(net)
        assert (action >= policy.actions.low).all()
        assert (action <= policy.actions.low + policy.actions.span).all()
        x, memory = model.step(x, action, states[1], start)
        states, start = (controller, memory), torch.zeros_like(start)
        torch.testing.assert_close(prediction, x)


def test_achieved_goal_is_predicted_once_where_it_is_the_observation():
    assert Encoder(gym.spaces.Dict(GOALS)).percept_size == 3
    assert Encoder(gym.spaces.Dict(GOALS), share=False).percept_size == 6
    wide = gym.spaces.Dict({**GOALS, "observation": gym.spaces.Box(0, 1, (7,), np.float32)})
    encoder = Encoder(wide)
    assert encoder.percept_size == 10
    assert encoder.goal_slice == slice(7, 10)
    with pytest.raises(ValueError, match="spaces differ"):
        Encoder(wide, share=True)
    obs = {key: np.zeros((2, 3), np.float32) for key in GOALS}
    Encoder(gym.spaces.Dict(GOALS)).check(obs)
    with pytest.raises(ValueError, match="share_goal=False"):
        Encoder(gym.spaces.Dict(GOALS)).check({**obs, "achieved_goal": np.ones((2, 3))})


def test_encoder_flattens_every_key_and_names_what_it_cannot():
    space = gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (2, 2)), "b": gym.spaces.Box(-1, 1, (1,))})
    encoder = Encoder(space)
    obs = {"a": np.arange(8.0).reshape(2, 2, 2), "b": np.array([[8.0], [9.0]])}
    assert encoder.observation(obs).tolist() == [[0, 1, 2, 3, 8], [4, 5, 6, 7, 9]]
    assert encoder.desired(obs).shape == (2, 0)
    assert not encoder.has_goal
    with pytest.raises(ValueError, match="FlattenObservation"):
        Encoder(gym.spaces.Dict({"a": gym.spaces.Discrete(3)}))


@pytest.mark.parametrize("output", ["logistic", "linear", "residual"])
def test_outputs_and_reward_head(output):
    encoder = Encoder(gym.spaces.Box(0, 1, (3,), np.float32))
    model = WorldModel(encoder, 2, output=output, reward=True, core_kwargs={"hidden": (8,)})
    x, action = torch.rand(4, 3), torch.rand(4, 2)
    out, _ = model.step(x, action, (), torch.zeros(4, dtype=torch.bool))
    raw = model.head(model.core.layers(torch.cat((x, action), -1)))
    expected = {"logistic": raw[:, :3].sigmoid(), "linear": raw[:, :3], "residual": x + raw[:, :3]}[output]
    torch.testing.assert_close(out, torch.cat((expected, raw[:, 3:]), -1))
    with pytest.raises(ValueError, match="residual"):
        WorldModel(encoder, 2, output="cubic")


def test_what_was_expected_counts_where_the_episode_went_on(nets):
    _, model = nets
    seq = sequence(nets, ends=0.5)
    expected, known = model.expected(seq[:1])
    assert torch.equal(expected, model.observe(seq[:1]))
    assert torch.equal(known, 1 - seq["ended"][:1, :, 0])
    assert 0 < known.mean() < 1
    assert not expected.requires_grad


def test_an_imagined_trajectory_starts_in_reality_and_ends_unfinished(nets):
    policy, model = nets
    seq = sequence(nets)
    percepts = model.imagine(policy, seq[2:], 3).outputs
    trajectory = model.imagined(seq[2:], percepts)
    assert torch.equal(trajectory["observation"][0], seq["observation"][2])
    assert torch.equal(trajectory["observation"][1:], percepts[:-1])
    assert trajectory["ended"][:, :, 0].sum(1).tolist() == [0, 0, 4]
    assert not trajectory["terminated"].any()
