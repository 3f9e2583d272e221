"""The agent that looks and names: scores are logits, labels reach every step of their episode, bad spaces."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import Recogniser, make_sb3
from scripts.baselines.recurrent_attention import RAM

DIGITS = "Foveal/GlimpseClassification-v0"


def make(moves: int = 4, **keywords: Any) -> Recogniser:
    env = make_sb3(DIGITS, 4, seed=0, moves=moves)
    settings = {"n_steps": 8, "core_kwargs": {"size": 16}, "seed": 0}
    return Recogniser("RecognitionPolicy", env, **{**settings, **keywords})


def test_five_times_the_scores_are_the_logits() -> None:
    agent = make()
    obs = agent.env.reset()
    actions, _ = agent.predict(obs, deterministic=True)
    assert agent.action_space.contains(actions[0])
    start = torch.ones(len(actions), dtype=torch.bool)
    glance, _, _ = agent.policy.step(torch.as_tensor(obs), agent.policy.core.initial_state(len(actions)), start)
    expected = torch.log_softmax(glance.logits, -1).detach().numpy()
    scores = torch.log_softmax(5 * torch.from_numpy(actions[:, 2:]), -1).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_every_step_has_the_label_of_its_episode() -> None:
    agent = make(moves=3)  # the last two of eight steps belong to an episode that has not ended
    agent.learn(32, log_interval=None)
    label, ended = agent.rollout.fields["label"], agent.rollout.fields["ended"]
    assert ended[:, 0].nonzero().flatten().tolist() == [2, 5]
    assert (label[:3] == label[0]).all()
    assert (label[3:6] == label[3]).all()
    assert (label[:6] >= 0).all()
    assert (label[6:] == -1).all()


def test_names_are_learned_from_labels_alone() -> None:
    agent = make(n_steps=8, n_epochs=8, learning_rate=3e-3, label_coef=1.0, vf_coef=0.0)
    before = agent.policy.namer.weight.clone()
    agent.learn(64, log_interval=None)
    losses = []
    for coefficient in (0.0, 1.0):
        agent.label_coef = coefficient
        batch = {"label": torch.tensor([[1, -1]])}
        losses.append(float(agent.further_loss(batch, torch.tensor([[0.0] * 10, [9.0] + [0.0] * 9]))))
    assert not torch.equal(before, agent.policy.namer.weight)
    np.testing.assert_allclose(losses, [0.0, np.log(10)], rtol=1e-6)


def test_a_recogniser_is_loaded_as_it_was_saved(tmp_path: Any) -> None:
    agent = make().learn(32, log_interval=None)
    agent.save(tmp_path / "agent")
    obs = agent.env.reset()
    one, other = (a.predict(obs, deterministic=True)[0] for a in (agent, Recogniser.load(tmp_path / "agent")))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("classes", [1, 12])
def test_scores_must_fit_into_the_action(classes: int) -> None:
    with pytest.raises(ValueError, match="saccades and"):
        make(classes=classes)


def test_the_recurrent_attention_model_plays_and_learns() -> None:
    env = gym.make_vec(
        DIGITS, 4, vectorization_mode="vector_entry_point", autoreset_mode="same_step", info="step", moves=4
    )
    model = RAM(env, 10, size=16)
    before = [part.clone() for part in model.parameters()]
    model.learn(64)
    assert model.num_timesteps == 64
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    obs, _ = env.reset(seed=1)
    state, start = None, np.ones(4, bool)
    for _ in range(5):
        actions, state = model.predict(obs, state, start)
        assert env.action_space.contains(actions)
        obs, _, start, _, _ = env.step(actions)
