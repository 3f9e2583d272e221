"""The recurrent actor and critic as a Stable-Baselines3 policy: features -> core -> action distribution, value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
)
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, FlattenExtractor, NatureCNN
from torch import Tensor, nn

from ..common.actor import Actor
from ..common.distributions import ActionDistribution, make_distribution
from ..common.sequences import each
from ..cores import Core, State, make_core
from ..cores.feedforward import ACTIVATIONS, Activation

Obs = Any  # Tensor (B, ...), or a dict of these


class RecurrentPolicy(Actor):
    """pi(a | h) and V(h), h(t) = core(encoder(features of x(t)), state), for every observation and action space of SB3.

    Features are Stable-Baselines3's: a Box is flattened, an image goes through its convolutional net, and each key of a
    Dict, goals included, through one of these.

    Args:
        observation_space, action_space: any that Stable-Baselines3's PPO accepts.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        encoder: widths of the layers between features and core.
        net_arch: widths of the layers between core and output, separate for actor and critic.
        activation: of these layers.
        log_std_init: initial log standard deviation of Box actions.
        features_extractor_class, features_extractor_kwargs, normalize_images: see Stable-Baselines3.
    """

    encoder: nn.Module
    core: Core
    actor: nn.Module
    critic: nn.Module
    action_net: nn.Module
    value_net: nn.Module

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        core: str = "lstm",
        core_kwargs: dict[str, Any] | None = None,
        encoder: Sequence[int] = (),
        net_arch: Sequence[int] = (64,),
        activation: Activation = "tanh",
        log_std_init: float = 0.0,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        features_extractor_kwargs: dict[str, Any] | None = None,
        normalize_images: bool = True,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor_class or _extractor(observation_space, normalize_images),
            features_extractor_kwargs,
            normalize_images=normalize_images,
        )
        self.features_extractor = self.make_features_extractor()
        self.encoder = _layers(self.features_extractor.features_dim, encoder, activation)
        width = [self.features_extractor.features_dim, *encoder][-1]
        self.core = self._make_core(core, width, core_kwargs or {})
        self.actor, self.critic = (_layers(self.core.output_size, net_arch, activation) for _ in range(2))
        width = [self.core.output_size, *net_arch][-1]
        self.action_dist: Any = make_distribution(action_space)
        if isinstance(self.action_dist, DiagGaussianDistribution):
            self.action_net, self.log_std = self.action_dist.proba_distribution_net(width, log_std_init)
        else:
            self.action_net = cast(nn.Module, self.action_dist.proba_distribution_net(width))
        self.value_net = nn.Linear(width, 1)
        for layers in (self.encoder, self.actor, self.critic):
            layers.apply(lambda module: self.init_weights(module, gain=2**0.5))
        self.init_weights(self.action_net, gain=0.01)
        self.init_weights(self.value_net, gain=1.0)

    def step(self, obs: Obs, state: State, episode_start: Tensor) -> tuple[ActionDistribution, Tensor, State]:
        """The distribution of actions, V (B,) and the next state, from one step's observations (B, ...)."""
        x = self.encoder(self.extract_features(obs, self.features_extractor))
        h, state = self.core.step(x, state, episode_start)
        return self._distribution(h), self._value(h), state

    def unroll(self, obs: Obs, state: State, episode_start: Tensor, through_time: bool = True) -> Tensor:
        """h (T B, H) of a time-major sequence; see `evaluate_actions`."""
        x = self.encoder(self.extract_features(each(obs, lambda part: part.flatten(0, 1)), self.features_extractor))
        x = torch.unflatten(x, 0, episode_start.shape)
        if through_time:
            h: Tensor = self.core(x, state, episode_start)[0]
            return h.flatten(0, 1)
        return self._one_step_each(x, state, episode_start)

    def evaluate_actions(
        self, obs: Obs, actions: Tensor, state: State, episode_start: Tensor, through_time: bool = True
    ) -> tuple[Tensor, Tensor, Tensor | None, *tuple[Tensor, ...]]:
        """V, log pi(a) and entropy (None if it has no closed form), each (T B,), of a time-major sequence.

        A subclass may return more; `RecurrentPPO.further_loss` receives it.

        Args:
            obs: (T, B, ...).
            actions: (T, B, ...), or probabilities (T, B, actions) of Discrete actions: see `likelihood`.
            state: (B, ...) before the first step.
            episode_start: (T, B) bool.
            through_time: False cuts the gradient between steps: each step takes the state before it as given.
        """
        h = self.unroll(obs, state, episode_start, through_time)
        distribution = self._distribution(h)
        log_prob = likelihood(distribution, actions.flatten(0, 1))
        return self._value(h), log_prob, distribution.entropy()

    def act(
        self, obs: Obs, state: State | None, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, State]:
        """See `Actor.act`."""
        if state is None:
            state = self.core.initial_state(len(episode_start))
        start = torch.from_numpy(episode_start).to(self.device)
        distribution, _, state = self.step(obs, state, start)
        return self.to_env(distribution.get_actions(deterministic), distribution), state

    def to_env(self, actions: Tensor, distribution: ActionDistribution) -> np.ndarray:
        """Actions (B, ...) in the environment's form; those of a Box are clipped to its bounds.

        Args:
            actions: drawn from the distribution.
            distribution: what `step` returned.
        """
        space: Any = self.action_space
        array: np.ndarray = actions.cpu().numpy().reshape(-1, *space.shape)
        if isinstance(space, spaces.Box):
            array = np.clip(array, space.low, space.high)
        elif np.any(getattr(space, "start", 0)):
            array = array + space.start  # the policy counts from 0
        return array

    def from_env(self, actions: np.ndarray) -> np.ndarray:
        """The policy's part of actions (B, ...) in the environment's form, the inverse of `to_env`."""
        start = getattr(self.action_space, "start", 0)
        return actions - start if np.any(start) else actions

    def _make_core(self, name: str, width: int, keywords: dict[str, Any]) -> Core:
        return make_core(name, width, **keywords)

    def _value(self, h: Tensor) -> Tensor:
        value: Tensor = self.value_net(self.critic(h))
        return value.squeeze(-1)

    def _distribution(self, h: Tensor) -> ActionDistribution:
        net = self.action_net(self.actor(h))
        scale = (self.log_std,) if isinstance(self.action_dist, DiagGaussianDistribution) else ()
        distribution: ActionDistribution = self.action_dist.proba_distribution(net, *scale)
        return distribution

    def _one_step_each(self, x: Tensor, state: State, episode_start: Tensor) -> Tensor:
        """h (T B, H), each step from the state before it, with no gradient through that state."""
        states = [state]
        with torch.no_grad():
            for inputs, start in zip(x[:-1], episode_start[:-1], strict=True):
                states.append(self.core.step(inputs, states[-1], start)[1])
        before = tuple(torch.cat(parts) for parts in zip(*states, strict=True))
        return self.core.step(x.flatten(0, 1), before, episode_start.flatten())[0]


def _extractor(space: spaces.Space[Any], normalize_images: bool) -> type[BaseFeaturesExtractor]:
    if isinstance(space, spaces.Dict):
        return CombinedExtractor
    return NatureCNN if is_image_space(space, normalized_image=not normalize_images) else FlattenExtractor


def likelihood(distribution: ActionDistribution, actions: Tensor) -> Tensor:
    """log pi(a) (B,) of actions a (B, ...); for probabilities p (B, actions), sum_a p(a) log pi(a)."""
    if isinstance(distribution, CategoricalDistribution) and actions.is_floating_point():
        return (actions * distribution.distribution.logits).sum(-1)
    return distribution.log_prob(actions)


def _layers(width: int, widths: Sequence[int], activation: Activation) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((width, *widths[:-1]), widths, strict=True) if widths else ():
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)
