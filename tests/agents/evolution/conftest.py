"""V and M that have learned a little from a small world."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from agents import CodedRecording, ConvVAE, MixtureModel, Recording, random_play

from .dodge import dodge


class Learned(NamedTuple):
    recording: Recording
    coded: CodedRecording
    vae: ConvVAE
    model: MixtureModel
    vae_history: list[dict[str, float]]
    model_history: list[dict[str, float]]


@pytest.fixture(scope="session")
def learned() -> Learned:
    env = dodge(20)
    recording = random_play(env, 1_500, seed=0)
    torch.manual_seed(0)
    vae = ConvVAE(env.single_observation_space, 6, width=8)
    generator = torch.Generator().manual_seed(0)
    vae_history = vae.learn(recording.frames, epochs=8, batch_size=24, learning_rate=3e-3, generator=generator)
    coded = recording.encoded(vae)
    model = MixtureModel(6, env.single_action_space, core_kwargs={"size": 16})
    settings = {"epochs": 20, "batch_size": 6, "window": 16, "learning_rate": 1e-2}
    return Learned(recording, coded, vae, model, vae_history, model.learn(coded, generator=generator, **settings))
