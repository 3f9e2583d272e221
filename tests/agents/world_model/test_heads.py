"""Heads by name, the end of episodes in imagination, burn-in, and objectives."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.evaluation import evaluate_policy

from agents import WorldModelController, make_sb3
from agents.common.encoder import Encoder
from agents.common.sequences import Replay
from agents.world_model import controller
from agents.world_model.actions import make_actions
from agents.world_model.ensemble import Ensemble
from agents.world_model.evaluator import Evaluator
from agents.world_model.model import WorldModel
from agents.world_model.objectives import make_objective, signals_in

from .test_controller import SMALL, point

CART = gym.spaces.Box(-5, 5, (4,), np.float32)


def test_every_head_has_its_own_loss():
    torch.manual_seed(0)
    env = make_sb3("CartPole-v1", 4, seed=0)
    agent = WorldModelController("MlpPolicy", env, **SMALL).learn(400, log_interval=None)
    model = agent.world_model
    assert [*model.heads] == ["percept", "reward", "terminated"]
    window = agent.policy.scale.scaled(agent.replay.windows(3, 64, ends=0.5))
    out, truth, losses = model.observe(window), model.target(window), model.losses(window)
    percept = (out - truth)[..., :4] / agent.policy.scale.change
    torch.testing.assert_close(losses["percept"], 0.5 * percept.square().sum(-1).mean())
    odds = out[..., 5].sigmoid()
    ends = window["terminated"].squeeze(-1)
    raw = model.head(model.core.layers(torch.cat((window["observation"], window["action"]), -1)))
    assert (out[..., 4] == 1.0).all()  # CartPole has never paid anything else
    model.scale.paid[:] = torch.tensor([-math.inf, math.inf])
    torch.testing.assert_close(model.observe(window)[..., 4], (1 - odds) * raw[..., 4] + odds * raw[..., 6])
    pay = torch.where(ends > 0.5, raw[..., 6], raw[..., 4])
    torch.testing.assert_close(losses["reward"], 0.5 * (pay - window["reward"].squeeze(-1)).square().mean())
    cross = -(ends * odds.log() + (1 - ends) * (1 - odds).log()).mean()
    torch.testing.assert_close(losses["terminated"], cross, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.loss(window), sum(losses.values()))
    torch.testing.assert_close(model.continues(out), 1 - odds)
    assert {"train/model_percept_loss", "train/model_reward_loss", "train/model_terminated_loss"} <= set(agent.measures)
    later = model.losses(window, skipped=1)["percept"]
    torch.testing.assert_close(later, 0.5 * percept[1:].square().sum(-1).mean())


def test_named_predictions_are_in_the_units_of_the_environment():
    agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 4, seed=0), **SMALL).learn(100)
    raw = agent.replay.newest(5)["next_percept"].clone()
    window = agent.policy.scale.scaled(agent.replay.newest(5))
    named = agent.world_model.named(agent.world_model.target(window))
    torch.testing.assert_close(named["observation"], raw, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(named["reward"], window["reward"].squeeze(-1))


def test_a_step_after_a_likely_end_counts_little():
    """Returns and weights by hand: rewards 1, M's probability to go on 1, 1/2, 1."""
    agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 4, seed=0), **{**SMALL, "evaluator": False})
    agent.learn(100)
    agent.gamma = 0.9
    window = agent.policy.scale.scaled(agent.replay.windows(4, 8))
    unrolled = _unrolled(agent, window)
    go_on = torch.tensor([1.0, 0.5, 1.0])
    unrolled.outputs.data[..., 4] = 1.0
    unrolled.outputs.data[..., 5] = torch.logit(1 - go_on, eps=1e-6)[:, None]
    returns, weights = agent._returns.of(unrolled)
    torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 0.5])[:, None].expand(3, 8), rtol=1e-4, atol=1e-4)
    last, middle = 1.0, 1.0 + 0.9 * 0.5 * 1.0
    expected = torch.tensor([1.0 + 0.9 * middle, middle, last])[:, None].expand(3, 8)
    torch.testing.assert_close(returns, expected, rtol=1e-4, atol=1e-4)


def _unrolled(agent, window):
    from agents.world_model.unrolling import unrolled_in_model

    states = agent._begun(window)
    rest = window[agent.burn_in :]
    return unrolled_in_model(agent.policy, agent.world_model, rest, 3, states)


def test_burned_in_states_are_those_of_the_present_nets():
    keywords = {
        **SMALL,
        "core": "gru",
        "core_kwargs": {"size": 5},
        "model_core": "lstm",
        "model_core_kwargs": {"size": 6},
    }
    agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 4, seed=0), burn_in=4, **keywords).learn(200)
    assert agent.value_net.fast[0][0].in_features == 4 + 6
    window = agent.policy.scale.scaled(agent.replay.windows(4 + 3 + 1, 16))
    controller, memory = agent._begun(window)
    model = agent.world_model
    state = model.initial_state(16)
    own = agent.policy.core.initial_state(16)
    for t in range(5):
        start = window.flag("episode_start")[t]
        _, state = model.step(window["observation"][t], window["action"][t], state, start)
        _, own = agent.policy.net(window["observation"][t], window["desired_goal"][t], own, start)
    torch.testing.assert_close(memory, state)
    torch.testing.assert_close(controller, own)
    unrolled = _unrolled(agent, window)
    starts = window.flag("episode_start")[5]
    first = torch.where(starts[:, None], 0.0, memory[0])  # an LSTM's output is its h
    torch.testing.assert_close(unrolled.memory[0], first)
    torch.testing.assert_close(unrolled.memory[1:], unrolled.next_memory[:-1].detach())
    assert unrolled.next_memory.requires_grad


@pytest.mark.parametrize("gradient", ["imagined", "real"])
def test_the_states_before_a_trajectory_are_those_of_its_own_window(gradient, monkeypatch):
    keywords = {
        **SMALL,
        "gradient": gradient,
        "core": "gru",
        "core_kwargs": {"size": 5},
        "model_core": "lstm",
        "model_core_kwargs": {"size": 6},
    }
    agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 4, seed=0), burn_in=4, **keywords)
    read, unrolled = [], []
    name = "unrolled_in_model" if gradient == "imagined" else "unrolled_along_reality"
    warmed, unroll = agent._begun, getattr(controller, name)
    monkeypatch.setattr(agent, "_begun", lambda window: read.append(window[4:].data.clone()) or warmed(window))
    monkeypatch.setattr(controller, name, lambda *a, **k: unrolled.append(a[2].data.clone()) or unroll(*a, **k))
    agent.learn(200)
    assert len(read) == len(unrolled) > 4
    assert all(torch.equal(*pair) for pair in zip(read, unrolled, strict=True))


def test_cores_with_memory_burn_in_by_default_and_reactive_ones_do_not():
    env = make_sb3("CartPole-v1", 2)
    assert WorldModelController("MlpPolicy", env, **SMALL).burn_in == 0
    assert WorldModelController("MlpPolicy", env, **{**SMALL, "core": "gru", "core_kwargs": None}).burn_in == 8
    assert (
        WorldModelController("MultiInputPolicy", point(), **{**SMALL, "core": "gru", "core_kwargs": None}).burn_in == 0
    )


@pytest.mark.parametrize("written", [30, 70])
def test_windows_are_drawn_where_episodes_end(written):
    torch.manual_seed(0)
    replay = Replay({"time": 1, "terminated": 1}, 3, 50)
    for t in range(written):
        ends = torch.tensor([[float(t % 17 == 16 and column == 1)] for column in range(3)])
        replay.add(time=torch.full((3, 1), float(t)), terminated=ends)
    windows = replay.windows(4, 2000, ends=0.5)
    held = windows.flag("terminated").any(0)
    assert held[:1000].all()
    assert 0.02 < held[1000:].float().mean() < 0.15
    times = windows["time"].squeeze(-1)
    assert (times.diff(dim=0) == 1).all()
    assert times.min() >= written - min(written, 50)
    places = windows.flag("terminated")[:, :1000].float().argmax(0)
    assert places.unique().tolist() == [0, 1, 2, 3]
    recent = replay.windows(4, 500, newest=8, ends=1.0)["time"]
    assert recent.min() >= written - 8
    empty = Replay({"time": 1, "terminated": 1}, 3, 50)
    for t in range(20):
        empty.add(time=torch.full((3, 1), float(t)), terminated=torch.zeros(3, 1))
    assert empty.windows(4, 5, ends=1.0)["time"].shape == (4, 5, 1)


def test_objectives():
    desired = torch.tensor([[[0.0, 0.0]]])
    predicted = {"achieved_goal": torch.tensor([[[3.0, 4.0]]]), "reward": torch.tensor([[7.0]])}
    assert make_objective("goal_error", True)(predicted, desired).item() == -12.5
    match = make_objective(None, True, match_widths=(5.0,))(predicted, desired).item()
    assert match == pytest.approx(np.exp(-1), rel=1e-4)
    assert make_objective(None, False)(predicted, desired).item() == 7.0
    units = {"observation": torch.tensor([[[0.5, 0.25, 9.0]]])}
    felt = make_objective(None, False, signals={"1": 0.0, "0": 1.0}, size=3)(units, desired)
    assert felt.item() == pytest.approx(-0.75)
    own = lambda predicted, desired: predicted["reward"] * 2  # noqa: E731
    assert make_objective(own, False)(predicted, desired).item() == 14.0


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"objective": "joy"}, "goal_match, goal_error, reward, signals"),
        ({"objective": "goal_error"}, "without goals"),
        ({"objective": "signals"}, "column: desired value"),
        ({"signals": {"7": 0.0}}, "column"),
        ({"model_class": Ensemble, "model_kwargs": {"members": 1}}, "members must be a whole number of at least 2"),
        (
            {"model_class": torch.nn.Linear},
            "model_class must be 'WorldModel' or 'Ensemble' or a subclass of WorldModel",
        ),
        ({"model_class": "Linear"}, "model_class must be 'WorldModel' or 'Ensemble' or a subclass of WorldModel"),
        ({"evaluator_kwargs": {"members": 0}}, "members must be a whole number of at least 1"),
        ({"evaluator_kwargs": {"rate": 2.0}}, "rate must be a number above 0 and at most 1"),
        ({"gradient": "reinforce"}, "probabilistic=True"),
        ({"head_weights": {"joy": 1.0}}, "head_weights must name heads of M"),
        ({"scaled": True, "model_output": "logistic"}, "scaled=True needs"),
        ({"signals": {"0": 0.0, "00": 1.0}}, "a column comes twice"),
        ({"ent_coef": 0.1}, "probabilistic=True"),
        ({"end_share": 2.0}, "end_share"),
        ({"burn_in": -1}, "burn_in"),
        ({"burn_in": 4, "online": True}, "burn_in"),
    ],
)
def test_impossible_settings_are_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        WorldModelController("MlpPolicy", make_sb3("Pendulum-v1", 2), **{**SMALL, **keywords})


def test_pain_alone_is_a_signal():
    env = make_sb3("foveal_envs:Foveal/Pole-v0", 4, seed=0, pain=True)
    agent = WorldModelController("MlpPolicy", env, signals={"2": 0.0}, **SMALL).learn(400)
    window = agent.policy.scale.scaled(agent.replay.windows(4, 64, ends=1.0))
    pains = -agent._objective(agent.world_model.named(agent.world_model.target(window)), window["desired_goal"])
    torch.testing.assert_close(pains, window["terminated"].squeeze(-1), rtol=1e-4, atol=1e-4)


def test_a_pain_in_the_info_is_a_signal():
    """`balanced`, the moves so far, is there in every step; no observation has it."""
    env = make_sb3("foveal_envs:Foveal/Pole-v0", 4, seed=0, info="step")
    agent = WorldModelController("MlpPolicy", env, signals={"balanced": 1000.0, "0": 0.0}, **SMALL).learn(400)
    window = agent.policy.scale.scaled(agent.replay.newest(3))
    model = agent.world_model
    moves = window["signals"].squeeze(-1)
    within = ~window.flag("episode_start")[1:]
    assert torch.equal((moves[1:] - moves[:-1])[within], torch.ones(int(within.sum())))
    felt = agent._objective(model.named(model.target(window)), window["desired_goal"])
    position = model.named(model.target(window))["observation"][..., 0]
    torch.testing.assert_close(felt, -(position.abs() + (1000.0 - moves).abs()))
    assert "train/model_signals_loss" in agent.measures
    with pytest.raises(ValueError, match="signals names 'joy'"):
        WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 2), signals={"joy": 1.0}, **SMALL).learn(10)


def test_a_model_that_expects_its_own_error():
    env = make_sb3("Pendulum-v1", 4, seed=0)
    agent = WorldModelController("MlpPolicy", env, **{**SMALL, "model_kwargs": {"error": True}}).learn(2000)
    window = agent.policy.scale.scaled(agent.replay.windows(3, 512))
    model = agent.world_model
    out = model.observe(window)
    known = model.target(window)
    true = 0.5 * ((out[..., :3] - known[..., :3]) / agent.policy.scale.change).square().sum(-1)
    expected = model.named(out)["error"]
    torch.testing.assert_close(model.losses(window)["error"], 0.5 * (expected - true).square().mean())
    assert expected.mean().item() == pytest.approx(true.detach().mean().item(), rel=0.5)
    real = model.real_forward(agent.policy, window).outputs
    torch.testing.assert_close(real[..., :-1], known)


def test_members_of_an_ensemble_disagree_where_they_know_little():
    keywords = {**SMALL, "model_class": Ensemble, "model_kwargs": {"members": 4}}
    agent = WorldModelController("MlpPolicy", make_sb3("Pendulum-v1", 4, seed=0), **keywords).learn(2000)
    known = agent.policy.scale.scaled(agent.replay.windows(3, 256))
    strange = agent.replay.windows(3, 256)
    strange["observation"][...] = 30.0 * torch.randn_like(strange["observation"])
    seen, unseen = (agent.world_model.disagreement(one).mean() for one in (known, strange))
    assert unseen > 5 * seen
    assert "train/model_others_loss" in agent.measures


def test_a_model_s_class_goes_by_its_name(tmp_path):
    for given in ("Ensemble", Ensemble):
        agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 1), model_class=given, **SMALL)
        assert agent.model_class == "Ensemble"
        agent.save(tmp_path / "agent")
        loaded = WorldModelController.load(tmp_path / "agent")
        assert type(loaded.world_model) is Ensemble
        assert not loaded.not_data()


def test_a_window_longer_than_what_there_is_warns():
    agent = WorldModelController(
        "MlpPolicy", make_sb3("CartPole-v1", 2, seed=0), **{**SMALL, "n_steps": 10, "window": 100}
    )
    with pytest.warns(UserWarning, match="nothing is learned: a window takes 101 steps a lane"):
        agent.learn(agent.model_steps + 40, log_interval=None)
    assert "train/model_loss" not in agent.measures


@pytest.mark.parametrize("core", ["feedforward", "gru"])
@pytest.mark.parametrize("gradient", ["imagined", "real", "mixed", "reinforce"])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_every_gradient_trains_every_kind_of_action(env_id, gradient, core):
    cores = (
        {} if core == "feedforward" else {"core": core, "model_core": core, "core_kwargs": {}, "model_core_kwargs": {}}
    )
    keywords = {**SMALL, **cores, "gradient": gradient, "probabilistic": True, "ent_coef": 0.01}
    agent = WorldModelController("MlpPolicy", make_sb3(env_id, 4, seed=0), **keywords)
    before = [part.clone() for part in agent.policy.head.parameters()]
    agent.learn(400, log_interval=None)
    assert all((old != new).all() for old, new in zip(before, agent.policy.head.parameters(), strict=True))


def test_the_score_of_reinforce_has_the_gradient_of_the_mean_return():
    """One step, reward a, action drawn around 0.3: the derivative of the mean reward is that of the mean action."""
    torch.manual_seed(0)
    units = make_actions(gym.spaces.Box(-1, 1, (1,), np.float32), probabilistic=True)
    net = torch.tensor([[0.6, -3.0]]).expand(400_000, -1).clone().requires_grad_()
    drawn = units.sample(net)
    score = units.log_probability(net, drawn)
    by_score = torch.autograd.grad((score * drawn.detach().squeeze(-1)).mean(), net)[0].sum(0)
    by_path = torch.autograd.grad(drawn.mean(), net)[0].sum(0)
    torch.testing.assert_close(by_score, by_path, rtol=0.0, atol=0.03)
    assert by_path[0] > 0.3
    assert units.entropy(net).mean().item() == pytest.approx(-score.mean().item(), abs=0.01)
    (passed,) = torch.autograd.grad(units.passing(net, drawn.detach()).mean(), net)
    torch.testing.assert_close(passed.sum(0), by_path, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("gradient", ["mixed", "reinforce"])
def test_scores_take_what_the_model_says_as_given(gradient):
    keywords = {**SMALL, "gradient": gradient, "probabilistic": True}
    agent = WorldModelController("MlpPolicy", make_sb3("Pendulum-v1", 4, seed=0), **keywords).learn(200)
    window = agent.policy.scale.scaled(agent.replay.windows(4, 64))
    dream = agent.world_model.imagine(agent.policy, window[1:], 3, gradient=gradient)
    model, own = [*agent.world_model.parameters()], [*agent.policy.head.parameters()]
    assert not any(part is not None for part in torch.autograd.grad(dream.scores.sum(), model, retain_graph=True,
                                                                    allow_unused=True))  # fmt: skip
    assert all(part.any() for part in torch.autograd.grad(dream.scores.sum(), own, retain_graph=True))
    through = torch.autograd.grad(dream.outputs.sum(), own, allow_unused=True)
    assert all(part is not None for part in through) == (gradient == "mixed")
    seen = torch.cat((window["observation"][1:2], dream.outputs[:-1, :, :3].detach()))
    nets, _ = agent.policy.net(seen.flatten(0, 1), seen.flatten(0, 1)[:, :0], (), torch.zeros(192, dtype=torch.bool))
    wanted = agent.policy.actions.log_probability(nets, dream.actions.flatten(0, 1))
    torch.testing.assert_close(dream.scores.flatten(), wanted)


def test_actions_without_bounds_are_pushed():
    class Still(gym.Env):
        """What is pushed is what is seen; it should be 3."""

        observation_space = gym.spaces.Box(-100, 100, (1,), np.float32)
        action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.moves = 0
            return np.zeros(1, np.float32), {}

        def step(self, action):
            self.moves += 1
            return np.float32(action).clip(-100, 100), -abs(float(action[0]) - 3.0), False, self.moves >= 10, {}

    agent = WorldModelController("MlpPolicy", Still(), **{**SMALL, "gamma": 0.0}, persistence=0.0)
    agent.learn(2000, log_interval=None)
    action, _ = agent.predict(np.zeros(1, np.float32), deterministic=True)
    assert abs(action[0] - 3.0) < 0.7


@pytest.mark.parametrize(
    "reward", [lambda p, d: p["reward"].mean(1), lambda p, d: p["reward"][..., None], lambda p, d: 1.0]
)
def test_an_objective_of_another_shape_is_refused(reward):
    agent = WorldModelController(
        "MlpPolicy", make_sb3("CartPole-v1", 2), **{**SMALL, "batch_size": 3}, objective=reward
    )
    with pytest.raises(ValueError, match=r"must return a tensor \(T, B\) = \(3, 3\)"):
        agent.learn(300)


@pytest.mark.parametrize("value", [None, np.nan, "x", [1.0, 2.0], 1e300, 1j])
def test_a_signal_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="'pain', which must be a finite number"):
        signals_in([{"pain": 1.0}, {"pain": value}], ["pain"])
    with pytest.raises(ValueError, match="desired value of '0' is no finite number"):
        make_objective(None, False, signals={"0": value}, size=2)
    with pytest.raises(ValueError, match=r"signals names 'joy', .* only \['pain'\]"):
        signals_in([{"joy": 1, "pain": 0}, {"pain": 1}], ["joy"])


def test_a_window_of_one_column_has_no_advantage_that_is_not_finite():
    keywords = {**SMALL, "gradient": "reinforce", "batch_size": 1, "window": 1}
    agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 2), **keywords).learn(200)
    assert all(part.isfinite().all() for part in agent.policy.parameters())


def test_a_replay_that_does_not_fit_into_memory_is_refused():
    class Picture(gym.Env):
        observation_space, action_space = gym.spaces.Box(0, 255, (500, 500, 3), np.uint8), gym.spaces.Discrete(2)

    with pytest.raises(ValueError, match=r"replay of 2,000,000,000 steps .* smaller buffer_size"):
        WorldModelController("MlpPolicy", Picture(), **{**SMALL, "buffer_size": 2_000_000_000})


def test_choices_have_the_log_probability_of_the_softmax():
    choices = make_actions(gym.spaces.MultiDiscrete([3, 2]))
    net = torch.randn(50, 5)
    drawn = choices.sample(net)
    odds = torch.cat((net[:, :3].softmax(-1), net[:, 3:].softmax(-1)), -1)
    wanted = (odds.log() * (drawn > 0.5)).sum(-1)
    torch.testing.assert_close(choices.log_probability(net, drawn), wanted)
    torch.testing.assert_close(choices.entropy(net), -(odds * odds.log()).sum(-1))


def test_a_model_without_an_end_says_nothing_of_it():
    model = WorldModel(Encoder(CART), 2, core_kwargs={"hidden": (8,)})
    assert model.continues(torch.zeros(3, 2, 5)) is None


def test_the_evaluator_of_several_nets_targets_the_smallest():
    torch.manual_seed(0)
    one, three = (Evaluator(Encoder(CART), 2, hidden=(8,), members=members) for members in (1, 3))
    observation, memory, desired = torch.randn(5, 7, 4), torch.randn(5, 7, 2), torch.zeros(5, 7, 0)
    assert one(observation, memory, desired).shape == (5, 7, 1)
    values = three(observation, memory, desired)
    assert values.shape == (5, 7, 3)
    assert torch.equal(three.target(observation, memory, desired), values.amin(-1))
    assert torch.equal(one.target(observation, memory, desired), one(observation, memory, desired)[..., 0])
    keywords = {**SMALL, "evaluator_kwargs": {"hidden": (8,), "members": 2}}
    WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 2, seed=0), **keywords).learn(100)


@pytest.mark.slow
@pytest.mark.parametrize(("env_id", "bar", "steps"), [("CartPole-v1", 400, 3_000), ("Pendulum-v1", -250, 2_500)])
def test_it_masters_classic_control_in_a_few_thousand_steps(env_id, bar, steps):
    env = make_sb3(env_id, 1, seed=0)
    agent = WorldModelController("MlpPolicy", env, seed=0).learn(steps, log_interval=None)
    assert evaluate_policy(agent, make_sb3(env_id, 10, seed=1000), 10)[0] > bar
