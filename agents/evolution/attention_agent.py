"""AttentionAgent: an evolved controller that sees where it looks, and not what is there."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from stable_baselines3.common.type_aliases import GymEnv

from ..common.actor import Actor
from .search import Evolution

LOOKING = "query", "key", "query_bias", "key_bias"  # layers of attention
SCALES = {**dict.fromkeys(LOOKING, 3.0), "read": 10.0, "output": 10.0}


class AttentionAgent(Evolution):
    """Neuroevolution of self-interpretable agents (Tang, Nguyen & Ha, arXiv 2003.08165): `Evolution` of `Attention`.

    Its observations are images. The published search is CMA-ES with 256 candidates of 16 episodes each; a full
    covariance matrix of 3,667 parameters costs seconds a generation, so that the default here is the diagonal one.

    The search begins with random queries and keys, one step away from zero. If both change their signs, attention stays
    what it was, so around zero what one candidate finds is undone by another that found the same.

    Args:
        policy, env, keywords: see `Evolution`; `net_kwargs` are keywords of `Attention`.
        net: "attention".
        optimizer, population, episodes, sigma, scales: see `Evolution`; these are the defaults that differ. With all
            scales 1 attention hardly differs between places at first, and the LSTM hardly between actions.
    """

    def __init__(
        self,
        policy: str | type[Actor] = "EvolvedPolicy",
        env: GymEnv | str | None = None,
        *,
        net: Literal["attention"] = "attention",
        optimizer: Literal["cma", "openai-es", "sep-cma"] = "sep-cma",
        population: int = 48,
        episodes: int = 3,
        sigma: float = 0.2,
        scales: dict[str, float] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(
            policy, env, net=net, optimizer=optimizer, population=population, episodes=episodes, sigma=sigma,
            scales=SCALES if scales is None else scales, **keywords,
        )  # fmt: skip

    def _setup_model(self) -> None:
        super()._setup_model()
        net, weights = self.policy.net, self.policy.weights
        scales = net.parts(torch.from_numpy(self.sigma * net.spread(self.scales)))
        generator = torch.Generator().manual_seed(self.search.seed)
        with torch.no_grad():
            for name in LOOKING:
                layer = net.parts(weights)[name]
                layer.copy_(scales[name] * torch.randn(layer.shape, generator=generator, dtype=layer.dtype))

    def attended(self, state: np.ndarray) -> np.ndarray:
        """Places (N, K, 2) that the policy attended to, x and y in pixels, the most important first.

        Args:
            state: (N, S) that `predict` returned.
        """
        height, width, _ = self.observation_space.shape  # type: ignore[misc]
        count: int = self.policy.net.patches
        places = state[:, -2 * count :].reshape(len(state), count, 2)
        turned: np.ndarray = places[:, :, ::-1] * (width, height)
        return turned
