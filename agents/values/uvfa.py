"""Universal value functions Q(s, g, a): values of every state for every goal, even for goals never trained on.

Schaul, Horgan, Gregor & Silver, "Universal value function approximators", ICML 2015. V(s, g) has one action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from ..common.data import CLASSES
from ..common.encoder import GOAL_KEYS, Encoder
from ..cores.feedforward import Activation, FeedForward

HIDDEN = (128, 128)


@final
class Concatenated(nn.Module):
    """Q(s, g, .) = F([s, g]): one net that reads state and goal side by side.

    Args:
        state_size, goal_size: D, G.
        actions: A; 1 gives V(s, g).
        hidden, activation: layers of the net.
        symmetric: goals are states, and one layer E, as wide as the first, reads both: Q = F([E(s), E(g)]).

    Raises:
        ValueError: `symmetric` although states and goals differ in size.
    """

    def __init__(
        self,
        state_size: int,
        goal_size: int,
        actions: int = 1,
        *,
        hidden: Sequence[int] = HIDDEN,
        activation: Activation = "silu",
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.read: nn.Module = nn.Identity()
        if symmetric:
            _require_equal(state_size, goal_size)
            core = FeedForward(state_size, hidden[:1], activation)
            self.read, state_size, goal_size = core.layers, core.output_size, core.output_size
        self.net = perceptron(state_size + goal_size, actions, hidden, activation)

    def forward(self, state: Tensor, goal: Tensor) -> Tensor:
        """Values (B, A) of states (B, D) for goals (B, G)."""
        values: Tensor = self.net(torch.cat((self.read(state), self.read(goal)), -1))
        return values


@final
class TwoStream(nn.Module):
    """Q(s, g, a) = phi_a(s) . psi(g): two nets that meet in a dot product of r numbers.

    Args:
        state_size, goal_size: D, G.
        actions: A; 1 gives V(s, g).
        rank: r.
        hidden, activation: layers of either net.
        symmetric: goals are states, and psi(g) = W mean_a phi_a(g): what is known about a state also serves when it is
            a goal, even for the first time. W is linear: the table factorises so if the way back is as long as the way
            there.

    Raises:
        ValueError: `symmetric` although states and goals differ in size.
    """

    def __init__(
        self,
        state_size: int,
        goal_size: int,
        actions: int = 1,
        rank: int = 16,
        *,
        hidden: Sequence[int] = HIDDEN,
        activation: Activation = "silu",
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.rank, self.actions, self.symmetric = rank, actions, symmetric
        self.phi = perceptron(state_size, actions * rank, hidden, activation)
        if symmetric:
            _require_equal(state_size, goal_size)
            goal_size, hidden = rank, ()
        self.psi = perceptron(goal_size, rank, hidden, activation)

    def forward(self, state: Tensor, goal: Tensor) -> Tensor:
        """Values (B, A) of states (B, D) for goals (B, G)."""
        return (self.state_factors(state) * self.goal_factors(goal)[:, None]).sum(-1)

    def state_factors(self, state: Tensor) -> Tensor:
        """phi (B, A, r) of states (B, D)."""
        return torch.unflatten(self.phi(state), -1, (self.actions, self.rank))

    def goal_factors(self, goal: Tensor) -> Tensor:
        """psi (B, r) of goals (B, G)."""
        factors: Tensor = self.psi(self.state_factors(goal).mean(1) if self.symmetric else goal)
        return factors


@final
class TwoStreamExtractor(BaseFeaturesExtractor):
    """phi(s) * psi(g), element by element, for Stable-Baselines3's off-policy algorithms on Dicts with goals.

    With `net_arch=[]` DQN's head is Q(s, g, a) = sum_i w_ai phi_i(s) psi_i(g): the dot product, with weights for each
    action. Goals that `HerReplayBuffer` relabels go through psi like any others.

    Args:
        observation_space: Dict with the two goal keys.
        rank: r, the number of features.
        hidden, activation: layers of either net.

    Raises:
        ValueError: the space lacks the goal keys.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        rank: int = 64,
        hidden: Sequence[int] = HIDDEN,
        activation: Activation = "silu",
    ) -> None:
        super().__init__(observation_space, rank)
        self.encoder = Encoder(observation_space)
        if not self.encoder.has_goal:
            raise ValueError(f"a two-stream extractor needs a Dict with {' and '.join(GOAL_KEYS)}: {observation_space}")
        self.phi = perceptron(self.encoder.observation_size, rank, hidden, activation)
        self.psi = perceptron(self.encoder.goal_size, rank, hidden, activation)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Features (B, r)."""
        state = torch.cat([observations[key].flatten(1) for key in self.encoder.keys], 1)
        features: Tensor = self.phi(state) * self.psi(observations["desired_goal"].flatten(1))
        return features


def perceptron(inputs: int, outputs: int, hidden: Sequence[int], activation: Activation) -> nn.Sequential:
    """A multi-layer perceptron with linear outputs; without hidden layers a linear map."""
    if not hidden:
        return nn.Sequential(nn.Linear(inputs, outputs))
    core = FeedForward(inputs, hidden, activation)
    return nn.Sequential(core.layers, nn.Linear(core.output_size, outputs))


def _require_equal(state_size: int, goal_size: int) -> None:
    if state_size != goal_size:
        raise ValueError(
            f"symmetric needs goals that are states, but they have {state_size} and {goal_size} numbers; pass "
            "symmetric=False"
        )


CLASSES["TwoStreamExtractor"] = TwoStreamExtractor  # files may name it
