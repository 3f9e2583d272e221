"""M: published sizes, its likelihood and draws against PyTorch's distributions, and what it learns."""

from __future__ import annotations

import copy
import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from agents import CodedRecording, MixtureModel
from agents.evolution.gaussians import Prediction, log_likelihood, sample
from agents.evolution.presets import PRESETS

PUSH = gym.spaces.Box(-1, 1, (1,), np.float32)


@pytest.mark.parametrize(("preset", "actions", "count"), [("car_racing", 3, 422_368), ("doom", 1, 1_678_785)])
def test_it_has_the_published_sizes(preset, actions, count):
    chosen = PRESETS[preset]
    model = MixtureModel(chosen["vae"]["codes"], gym.spaces.Box(-1, 1, (actions,)), **chosen["model"])
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.fixture
def said() -> Prediction:
    torch.manual_seed(0)
    return Prediction(*(torch.randn(7, 3, 5, dtype=torch.float64) for _ in range(3)), None, None)


def mixture(said: Prediction, temperature: float = 1.0) -> MixtureSameFamily:
    deviations = said.log_deviations.exp() * math.sqrt(temperature)
    return MixtureSameFamily(Categorical(logits=said.logits / temperature), Normal(said.means, deviations))


def test_the_likelihood_is_that_of_mixtures(said):
    codes = 2 * torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(log_likelihood(said, codes), mixture(said).log_prob(codes))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.5])
def test_draws_are_those_of_the_mixture_at_the_temperature(said, temperature):
    many = Prediction(*(part[:1].expand(50_000, 3, 5) for part in said[:3]), None, None)
    codes = sample(many, temperature, generator=torch.Generator().manual_seed(0))
    expected = mixture(Prediction(*(part[0] for part in said[:3]), None, None), temperature)
    for threshold in (-2.0, -1.0, 0.0, 1.0, 2.0):
        share = (codes < threshold).double().mean(0)
        torch.testing.assert_close(share, expected.cdf(torch.tensor(threshold)), atol=0.01, rtol=0)


def test_a_cold_dream_is_certain_and_a_hot_one_knows_nothing(said):
    noise = torch.rand(7, 3), torch.randn(7, 3)
    best = said.means.gather(-1, said.logits.argmax(-1, keepdim=True)).squeeze(-1)
    torch.testing.assert_close(sample(said, 1e-9, noise), best, atol=1e-3, rtol=0)
    means = torch.arange(5.0)
    parts = (said.logits[0, 0], means, torch.full((5,), -20.0))
    many = Prediction(*(part.expand(20_000, 1, 5) for part in parts), None, None)
    codes = sample(many, 1e6, generator=torch.Generator().manual_seed(0))
    for mean in means:
        assert (codes - mean).abs().lt(1e-2).double().mean() == pytest.approx(0.2, abs=0.02)
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            sample(said, wrong)


def test_a_layer_between_core_and_mixture_also_reads_code_and_action():
    torch.manual_seed(0)
    model = MixtureModel(4, PUSH, core_kwargs={"size": 8}, hidden=9)
    read, output = torch.randn(6, 7, 5), torch.randn(6, 7, 8)
    between = torch.cat([read, output], -1) @ model.hidden.weight.T + model.hidden.bias
    torch.testing.assert_close(model.units(read, output), model.head(between.tanh()))
    assert model.head.in_features == 9
    with pytest.raises(ValueError, match="hidden must be a whole number of at least 0, not -1"):
        MixtureModel(4, PUSH, hidden=-1)


@pytest.mark.parametrize("core", ["lstm", "gru", "feedforward"])
@pytest.mark.parametrize(("restart_flag", "hidden"), [(False, 0), (True, 0), (True, 9)])
def test_a_step_is_a_sequence_of_one(core, restart_flag, hidden):
    torch.manual_seed(0)
    size = {"hidden": (5,)} if core == "feedforward" else {"size": 8}
    more = {"reward": True, "restart_flag": restart_flag, "hidden": hidden}
    model = MixtureModel(4, gym.spaces.Discrete(3), core=core, core_kwargs=size, **more)
    codes, vectors = torch.randn(6, 2, 4), model.actions.from_env(np.arange(12) % 3).view(6, 2, 3)
    start = torch.rand(6, 2) < 0.3
    whole, outputs, last = model(codes, vectors, model.initial_state(2), start)
    state = model.initial_state(2)
    for t in range(6):
        said, output, state = model.step(codes[t], vectors[t], state, start[t])
        for one, part in zip((*said, output), (*whole, outputs), strict=True):
            torch.testing.assert_close(one, part[t])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(state, last, strict=True))
    assert whole.means.shape == (6, 2, 4, 5)
    assert whole.end.shape == whole.reward.shape == (6, 2)


def test_the_losses_are_means_over_the_steps_that_count():
    torch.manual_seed(0)
    model = MixtureModel(3, PUSH, core_kwargs={"size": 4}, reward=True)
    codes, vectors, following = torch.randn(5, 2, 3), torch.randn(5, 2, 1), torch.randn(5, 2, 3)
    start, counted, terminated = torch.rand(3, 5, 2) < 0.4
    rewards, state = torch.randn(5, 2), model.initial_state(2)
    given = {"counted": counted, "terminated": terminated, "rewards": rewards}
    losses, _ = model.losses(codes, vectors, following, state, start, end_weight=3.0, **given)
    said, *_ = model(codes, vectors, state, start)
    likelihood = mixture(said).log_prob(following)[counted].mean()
    torch.testing.assert_close(losses["codes"], -likelihood)
    torch.testing.assert_close(
        losses["ends"], 3 * nn.BCEWithLogitsLoss()(said.end[counted], terminated[counted].float())
    )
    torch.testing.assert_close(losses["reward"], 0.5 * nn.MSELoss()(said.reward[counted], rewards[counted]))
    with pytest.raises(ValueError, match="`terminated`"):
        model.losses(codes, vectors, following, state, start)


def walks(episodes: int = 60, steps: int = 20) -> CodedRecording:
    """Codes that an action moves by 0.5 up or down, at once or after a random wait; below -1 the episode may end."""
    torch.manual_seed(0)
    actions = torch.randint(0, 2, (episodes, steps)) * 2.0 - 1
    place = torch.cat([torch.zeros(episodes, 1), 0.5 * actions[:, :-1]], 1).cumsum(1)
    terminated = torch.zeros(episodes, steps, dtype=torch.bool)
    terminated[:, -2] = place[:, -2] < -1
    start = torch.arange(steps).expand(episodes, steps) == 0
    log_variance = torch.full((episodes * steps, 1), 2 * math.log(0.1))
    return CodedRecording(
        place.reshape(-1, 1),
        log_variance,
        actions.reshape(-1, 1),
        place.flatten(),
        terminated.flatten(),
        start.flatten(),
    )  # fmt: skip


def test_it_learns_what_an_action_does():
    recording = walks()
    model = MixtureModel(1, PUSH, core_kwargs={"size": 16}, reward=True)
    history = model.learn(
        recording, epochs=25, batch_size=6, window=10, learning_rate=1e-2, generator=torch.Generator().manual_seed(0)
    )
    # -log p of the noise that V adds is the least that there can be
    least = 0.5 * math.log(2 * math.pi * math.e) + math.log(0.1)
    assert least - 0.2 < history[-1]["codes"] < least + 1.0 < history[0]["codes"]
    with torch.no_grad():
        said, _, _ = model.step(
            torch.zeros(2, 1), torch.tensor([[1.0], [-1.0]]), model.initial_state(2), torch.ones(2) > 0
        )
    means = (said.logits.softmax(-1) * said.means).sum((-1, -2))
    torch.testing.assert_close(means, torch.tensor([0.5, -0.5]), atol=0.3, rtol=0)


def test_learning_is_repeated_to_the_bit():
    recording, model = walks(6), MixtureModel(1, PUSH, core_kwargs={"size": 4})
    other, settings = copy.deepcopy(model), {"epochs": 2, "batch_size": 2, "window": 7}
    history = model.learn(recording, generator=torch.Generator().manual_seed(1), **settings)
    assert other.learn(recording, generator=torch.Generator().manual_seed(1), **settings) == history
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))


def test_it_foresees_ends(learned):
    history = learned.model_history
    rate = learned.coded.terminated.sum().item() / (~learned.coded.episode_start).sum().item()
    base = -20 * (rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    assert history[-1]["ends"] < base
    assert history[-1]["codes"] < history[0]["codes"]


def test_losses_that_are_not_finite_change_nothing():
    recording, model = walks(4), MixtureModel(1, PUSH, core_kwargs={"size": 4})
    recording.mean[5] = math.nan
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(FloatingPointError, match="codes = nan"):
        model.learn(recording, batch_size=1, window=100)
    assert all(map(torch.equal, model.state_dict().values(), before.values()))


def test_impossible_settings_are_named():
    for wrong, words in (({"codes": 0}, "codes"), ({"mixtures": 0}, "mixtures"), ({"core": "no"}, "core must be")):
        with pytest.raises(ValueError, match=words):
            MixtureModel(**{"codes": 2, "action_space": PUSH, **wrong})
    with pytest.raises(ValueError, match="codes of 2 and actions of 1"):
        MixtureModel(2, PUSH).learn(walks(3))
    with pytest.raises(ValueError, match="epochs must be a whole number of at least 1, not 0"):
        MixtureModel(1, PUSH).learn(walks(3), epochs=0)
