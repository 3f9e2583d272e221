"""Planning at decision time: C's action, improved by looking ahead in M."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.actor import Actor
from ..cores.ops.checks import real, whole
from .policy import ControllerPolicy
from .returns import Returns


class Planner(Actor):
    """Takes the one of several actions after which C does best in M, with V at the end of the look ahead.

    One step of policy improvement over C, by rollouts (Tesauro & Galperin, NIPS 9, 1996). C's own action is always
    among those that are tried, so where M and V are right nothing is lost. The state is C's and M's.

    Args:
        policy: C.
        returns: M, V, what C wants, and the discount.
        horizon: steps of the look ahead.
        candidates: actions that are tried: C's, and others drawn around it, or uniformly where they are choices.
        spread: standard deviation of what is drawn around C's push, in half-ranges of the action.
    """

    def __init__(
        self,
        policy: ControllerPolicy,
        returns: Returns,
        *,
        horizon: int = 10,
        candidates: int = 32,
        spread: float = 0.3,
    ) -> None:
        super().__init__(policy.observation_space, policy.action_space)
        whole("horizon", horizon)
        whole("candidates", candidates, 2)
        real("spread", spread)
        if returns.terminal:
            raise ValueError('a look ahead does not know when an episode ends: planning needs error="summed"')
        self.policy, self.returns, self.model = policy, returns, returns.model
        self.horizon, self.candidates, self.spread = horizon, candidates, spread

    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, Any]:
        """See `Actor.act`; the best of what was tried is taken. If `deterministic`, the same is tried at every call."""
        if not (state is None or (isinstance(state, tuple) and [*map(type, state)] == [tuple, tuple])):
            raise ValueError("the state is not a planner's, which is C's and M's: begin with None")
        with torch.random.fork_rng(devices=[], enabled=deterministic):
            if deterministic:
                torch.manual_seed(0)
            return self._best(obs, state, episode_start)

    def _best(self, obs: Any, state: Any, episode_start: np.ndarray) -> tuple[np.ndarray, Any]:
        policy, model, encoder = self.policy, self.model, self.policy.encoder
        seen, desired = policy.scale(encoder.observation(obs)), encoder.desired(obs)
        count, start = len(seen), torch.from_numpy(episode_start).to(seen.device)
        own, memory = state or (policy.core.initial_state(count), model.initial_state(count))
        net, own = policy.net(seen, desired, own, start)
        likely = policy.actions.likely(net)
        tried = torch.stack([likely, *(policy.actions.near(likely, self.spread) for _ in range(self.candidates - 1))])
        best = self._worths(tried, seen, desired, own, memory, start).argmax(0)
        chosen = tried[best, torch.arange(count, device=seen.device)]
        memory = model.step(seen, chosen, memory, start)[1]
        return policy.actions.to_env(chosen), (own, memory)

    def _worths(self, tried: Tensor, seen: Tensor, desired: Tensor, own: Any, memory: Any, start: Tensor) -> Tensor:
        """Returns (K, N) of first actions (K, N, A), all imagined at once."""
        shape, policy, model = tried.shape[:2], self.policy, self.model
        seen, desired, start, *states = (
            part.repeat(shape[0], *[1] * (part.dim() - 1)) for part in (seen, desired, start, *own, *memory)
        )
        own, memory = tuple(states[: len(own)]), tuple(states[len(own) :])
        actions, worth, weight = tried.flatten(0, 1), torch.zeros_like(seen[:, 0]), torch.ones_like(seen[:, 0])
        for step in range(self.horizon):
            if step:
                net, own = policy.net(seen, desired, own, start)
                actions = policy.actions.likely(net)
            out, memory = model.step(seen, actions, memory, start)
            seen, start = out[:, : model.encoder.observation_size], torch.zeros_like(start)
            worth = worth + weight * self.returns.rewards(out[None], desired[None])[0]
            goes_on = None if self.returns.follows else model.continues(out)
            weight = weight * self.returns.gamma * (1.0 if goes_on is None else goes_on)
        worth = worth + weight * self.returns.values(seen, model.memory(memory, seen), desired)
        return worth.view(shape)
