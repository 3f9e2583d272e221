"""A world model of tables, and what in it is interesting: for worlds of a few hundred states."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..common.keywords import check_keywords
from ..common.losses import descend
from ..cores.ops.checks import real, whole
from ..cores.ops.compiled import compiled

Curiosity = Literal["count", "disagreement", "error", "improvement", "last_improvement"]
BEFORE = 3  # visits before which no improvement can be measured
FAST, SLOW = 0.3, 0.1  # rates of the two means of the error, whose difference is the improvement


class TableModel:
    """M(s, a) = p(s' | s, a) in tables: several members, which begin at random and learn from the same steps.

    A step (s, a, s') changes every member by the delta rule, p <- p + rate (1_s' - p). M's error in a step is the mean
    of 1 - p(s' | s, a) over the members, before they learn from it.

    What interests a curious agent in (s, a), from 0 to about 1 (Schmidhuber, FKI-126-90, 1990, and IJCNN Singapore
    2:1458-1463, 1991, for the first three):

    - "error": a running mean of M's error. It never ends where the world is random.
    - "improvement": by how much a fast running mean of the error is below a slow one; 1 before the third visit, when it
      cannot be measured.
    - "last_improvement": by how much the last step reduced the error in that very step, which noise does, too.
    - "disagreement": the standard deviation of the members' predictions, as a share of what it was. They see the same
      steps, so that they agree in the end even about noise.
    - "count": 1 / the number of visits.

    A subclass may override `adapt`.

    Args:
        states: S.
        actions: A.
        members: of the ensemble.
        rate: of the delta rule: with 1 a single visit to what is certain leaves no error, with 0.7 two leave 9 %.
        seed: of the members' beginnings.
    """

    def __init__(self, states: int, actions: int, members: int = 5, rate: float = 1.0, seed: int | None = None) -> None:
        for name, number in {"states": states, "actions": actions, "members": members}.items():
            whole(name, number)
        real("rate", rate, most=1.0, above=True)
        self.rate = rate
        self.p = np.random.default_rng(seed).dirichlet(np.ones(states), (members, states, actions))
        self.visits = np.zeros((states, actions, states))  # how often each state followed
        self.continued = np.zeros_like(self.visits)  # and how often the episode went on
        self.reward = np.zeros((states, actions))  # mean
        self.fast, self.slow, self.last = np.ones((3, states, actions))
        self._first = self._spread()  # of the members' predictions
        self._disagreement = np.ones((states, actions))

    def _spread(self) -> np.ndarray:
        spread: np.ndarray = np.maximum(self.p.std(0).mean(-1), 1e-300)  # a single member has none
        return spread

    @property
    def tried(self) -> np.ndarray:
        """(S, A) how often each action was tried in each state."""
        count: np.ndarray = self.visits.sum(-1)
        return count

    def learn(self, state: int, action: int, after: int, reward: float = 0.0, terminated: bool = False) -> float:
        """Learns from a step, which may have ended the episode, and returns M's error in it."""
        place = state, action
        error = 1 - float(self.p[:, state, action, after].mean())
        self.visits[state, action, after] += 1
        self.continued[state, action, after] += not terminated
        self.reward[place] += (reward - self.reward[place]) / self.visits[place].sum()
        self.adapt(state, action, after)
        self.last[place] = error - (1 - float(self.p[:, state, action, after].mean()))
        self.fast[place] += FAST * (error - self.fast[place])
        self.slow[place] += SLOW * (error - self.slow[place])
        return error

    def adapt(self, state: int, action: int, after: int) -> None:
        """Changes `p` by a step."""
        row = self.p[:, state, action]
        row -= self.rate * row
        row[:, after] += self.rate
        self._disagreement[state, action] = np.maximum(row.std(0).mean(), 0.0) / self._first[state, action]

    def error(self, moves_to: np.ndarray) -> np.ndarray:
        """(S, A) M's error if each action led where (S, A) says."""
        states, actions = np.indices(moves_to.shape)
        error: np.ndarray = 1 - self.p[:, states, actions, moves_to].mean(0)
        return error

    def interest(self, kind: Curiosity) -> np.ndarray:
        """(S, A) of a kind; 1 where an action was never tried."""
        tried = self.tried
        if kind == "error":
            found = self.fast
        elif kind == "improvement":
            found = np.where(tried < BEFORE, 1.0, np.maximum(0.0, self.slow - self.fast))
        elif kind == "last_improvement":
            found = self.last
        elif kind == "disagreement":
            found = self._disagreement
        elif kind == "count":
            found = 1 / np.maximum(1, tried)
        else:
            raise ValueError(f"curiosity must be one of {', '.join(map(repr, get_args(Curiosity)))}, not {kind!r}")
        return np.where(tried == 0, 1.0, found)

    def get_state(self) -> dict[str, Any]:
        """All tables."""
        names = ("p", "visits", "continued", "reward", "fast", "slow", "last", "_first", "_disagreement")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: a table of another shape.
        """
        for name, table in state.items():
            if np.shape(table) != getattr(self, name).shape:
                raise ValueError(f"the table {name} has the shape {np.shape(table)}, not {getattr(self, name).shape}")
        for name, table in state.items():
            setattr(self, name, np.array(table))


class NetTableModel(TableModel):
    """The tables of a `TableModel`, whose predictions are those of small nets: what one step teaches changes others.

    Every member is a net of one hidden layer on a state and an action, each as one of many, with a softmax over the
    next state. It learns from a replay of all steps, of which every member draws its own.

    Args:
        states, actions, members, seed: see `TableModel`.
        hidden: units of the hidden layer.
        updates: minibatches after a step.
        batch_size: steps of a minibatch, the newest among them.
        learning_rate: Adam's.

    Raises:
        ValueError: a keyword of a wrong kind or out of range.
    """

    def __init__(
        self,
        states: int,
        actions: int,
        members: int = 5,
        *,
        hidden: int = 64,
        updates: int = 4,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        seed: int | None = None,
    ) -> None:
        super().__init__(states, actions, members, seed=seed)
        numbers = {"hidden": hidden, "updates": updates, "batch_size": batch_size, "learning_rate": learning_rate}
        check_keywords(type(self), numbers)
        self._generator = torch.Generator().manual_seed(0 if seed is None else seed)
        self.updates, self.batch_size = updates, batch_size
        inputs, wide = states + actions, hidden
        normal = torch.randn(members, inputs + wide, max(wide, states), generator=self._generator)
        self._read = (normal[:, :inputs, :wide] * 0.5).clone().requires_grad_()
        self._said = (normal[:, inputs:, :states] * wide**-0.5).clone().requires_grad_()
        self._optimizer = torch.optim.Adam([self._read, self._said], learning_rate)
        self._pairs = torch.cartesian_prod(torch.arange(states), torch.arange(actions) + states)
        self._replay = torch.zeros(0, 3, dtype=torch.int64)
        self._predict()
        self._first = self._spread()

    def _logits(self, pairs: Tensor) -> Tensor:
        """(members, n, S) of pairs (members or 1, n, 2), numbers of inputs that are 1."""
        rows = torch.arange(len(self._read))[:, None]
        hidden = self._read[rows, pairs[..., 0]] + self._read[rows, pairs[..., 1]]
        logits: Tensor = torch.tanh(hidden) @ self._said
        return logits

    @torch.no_grad()
    def _predict(self) -> None:
        states, actions = self.visits.shape[:2]
        p = torch.softmax(self._logits(self._pairs[None].expand(len(self._read), -1, -1)), -1)
        self.p = p.double().numpy().reshape(-1, states, actions, states)

    @torch.enable_grad()
    def adapt(self, state: int, action: int, after: int) -> None:
        """See `TableModel.adapt`."""
        newest = torch.tensor([[state, action + len(self.visits), after]])
        self._replay = torch.cat((self._replay, newest))
        members = len(self._read)
        for _ in range(self.updates):
            rows = torch.randint(len(self._replay), (members, self.batch_size), generator=self._generator)
            rows[:, 0] = len(self._replay) - 1
            batch = self._replay[rows]
            said = self._logits(batch[..., :2]).flatten(0, 1)
            descend(self._optimizer, members * F.cross_entropy(said, batch[..., 2].flatten()))
        self._predict()
        self._disagreement = self._spread() / self._first

    def get_state(self) -> dict[str, Any]:
        """All tables, the nets and the replay."""
        nets = {"read": self._read.detach(), "said": self._said.detach(), "optimizer": self._optimizer.state_dict()}
        return {**super().get_state(), **nets, "replay": self._replay, "generator": self._generator.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See `TableModel.set_state`."""
        rest = dict(state)
        read, said, optimizer, replay, generator = (
            rest.pop(name) for name in ("read", "said", "optimizer", "replay", "generator")
        )
        super().set_state(rest)
        with torch.no_grad():
            self._read.copy_(read)
            self._said.copy_(said)
        self._optimizer.load_state_dict(optimizer)
        self._replay = replay.clone()
        self._generator.set_state(generator)


def plan(
    tried: np.ndarray,
    continued: np.ndarray,
    rewards: np.ndarray,
    gamma: float,
    optimism: float,
    sweeps: int,
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Values (S, A) of actions by value iteration in what was seen.

    Q(s, a) = r(s, a) + gamma sum_s' n(s, a, s') / n(s, a) max_a' Q(s', a'), and `optimism` where a was never tried in
    s: the unknown needs an optimistic return, not an optimistic reward. Nothing follows the end of an episode.

    Args:
        tried: (S, A) n(s, a), see `TableModel.tried`.
        continued: (S, A, S) n(s, a, s'), of steps after which the episode went on.
        rewards: (S, A).
        gamma: discount.
        optimism: return of the unknown.
        sweeps: of all states, at most.
        values: (S,) V of the last plan, from which this one begins; they change. None: zeros.
    """
    q = np.empty_like(rewards)
    _plan(tried, continued, rewards, gamma, optimism, sweeps, np.zeros(len(q)) if values is None else values, q)
    return q


@compiled
def _plan(
    tried: np.ndarray, continued: np.ndarray, rewards: np.ndarray, gamma: float, optimism: float, sweeps: int,
    values: np.ndarray, q: np.ndarray,
) -> None:  # fmt: skip
    states, actions = rewards.shape
    first = np.empty(states * actions + 1, np.int64)  # of the places in `after` that follow a pair
    after, share = np.empty(continued.size, np.int64), np.empty(continued.size)
    count = 0
    for s in range(states):
        for a in range(actions):
            first[s * actions + a] = count
            for following in range(states):
                if continued[s, a, following] > 0.0 and tried[s, a] > 0.0:
                    after[count], share[count] = following, gamma * continued[s, a, following] / tried[s, a]
                    count += 1
    first[states * actions] = count
    for sweep in range(sweeps):
        change = 0.0
        for k in range(states):
            s = k if sweep % 2 == 0 else states - 1 - k  # there and back: what is found spreads in both directions
            best = -np.inf
            for a in range(actions):
                pair = s * actions + a
                total = rewards[s, a]
                for place in range(first[pair], first[pair + 1]):
                    total += share[place] * values[after[place]]
                q[s, a] = total if tried[s, a] > 0.0 else optimism
                best = max(best, q[s, a])
            change = max(change, abs(best - values[s]))
            values[s] = best
        if change < 1e-9:
            break
