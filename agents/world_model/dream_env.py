"""M in the shape of a Gymnasium vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from ..common.imagined import ImaginedVectorEnv
from ..common.sequences import Replay
from ..cores import State
from .model import WorldModel
from .objectives import Objective
from .open_loop import open_loop, state_before

HORIZON = 50
GROUP = 32  # lanes that M imagines at once, always as many: the last bits depend on the size of a batch


@final
class DreamVectorEnv(ImaginedVectorEnv):
    """N episodes inside a world model: Gymnasium's vector environment, for any library that trains in one.

    An episode begins at a real step of the replay, with the state that M's core has there. From then on M is fed its
    own predictions and the actions given. Observations, rewards and actions are those of the real environment, in its
    units; an agent that trained under VecNormalize dreams in the units that it sees. With goal keys, the desired goal
    is that of the real step, and the reward is the agent's objective of the predicted achieved goal.

    The dream reads M and the replay as they are: where the agent learns on, the dream changes, and so does what an
    episode key stands for. The option `starts` of `reset`, observations (N, ...): every episode of a lane begins at its
    own, as a real one does, until the next reset of all lanes. Without it they begin at steps drawn uniformly from the
    replay, and a reset raises ValueError where it has none.

    Made by `WorldModelController.dream`.

    Args:
        model: M, with `actions`.
        replay: where episodes begin; it may be empty if `reset` is given starts.
        objective: the reward where there are goals.
        num_envs: N.
        horizon: an episode is truncated after so many imagined steps.
        burn_in: real steps that M's core reads before an episode's start; 0: it begins with the recorded state.
        sampled: True: an episode ends with the probability p that M predicts; False: where p > 1/2.
        seed: of the first reset, unless that has one.
        autoreset_mode: "same_step", "next_step" or "disabled", or Gymnasium's AutoresetMode.

    Raises:
        ValueError: an impossible number, another mode, or a model without actions.
    """

    OPTIONS = ("starts",)

    def __init__(
        self,
        model: WorldModel,
        replay: Replay,
        objective: Objective,
        num_envs: int = 1,
        horizon: int = HORIZON,
        *,
        burn_in: int = 0,
        sampled: bool = True,
        seed: int | None = None,
        autoreset_mode: str | AutoresetMode = "same_step",
    ) -> None:
        if model.actions is None:
            raise ValueError("this world model does not know its action space: make it with WorldModel.of")
        self.model, self.replay, self.objective = model, replay, objective
        self.burn_in, self.sampled = burn_in, sampled
        self._actions, self._encoder = model.actions, model.encoder
        spaces = self._encoder.space, self._actions.space
        super().__init__(*spaces, num_envs, horizon, seed=seed, autoreset_mode=autoreset_mode)
        # Rows beyond N fill up the last group.
        rows, device = -(-num_envs // GROUP) * GROUP, self._encoder.device
        self._observation = torch.zeros(rows, self._encoder.observation_size, device=device)  # in the real units
        self._seen = torch.zeros_like(self._observation)  # scaled
        self._achieved = torch.zeros(rows, self._encoder.goal_size, device=device)
        self._desired = torch.zeros_like(self._achieved)
        self._fresh = torch.zeros(rows, dtype=torch.bool, device=device)  # whether a real episode begins there
        self._state: State = tuple(part.clone() for part in model.initial_state(rows))
        self._chances = np.zeros((num_envs, horizon))
        self._starts: Any = None
        self._places = torch.zeros(0, dtype=torch.int64)
        self._counted = -1  # steps of the replay when they were listed

    def _take(self, options: Mapping[str, Any]) -> None:
        if "starts" in options:
            starts = self._turned(options["starts"])
            if not self._fits(starts):
                raise ValueError(f"starts must be {self.num_envs} observations, an element of {self.observation_space}")
            self._starts = starts
        elif options.get("reset_mask") is None:
            self._starts = None

    def _turned(self, starts: Any) -> Any:
        """Starts, their images with the channels where the space has them."""
        if isinstance(starts, Mapping):
            known = self._encoder.parts
            return {key: self._encoder.as_in_space(key, part) if key in known else part for key, part in starts.items()}
        return self._encoder.as_in_space("observation", starts) if isinstance(starts, np.ndarray) else starts

    def _fits(self, starts: Any) -> bool:
        arrays = starts if isinstance(starts, Mapping) else {"observation": starts}
        parts = self._encoder.parts
        return arrays.keys() >= parts.keys() and all(
            np.shape(arrays[key]) == (self.num_envs, *part.shape) and np.isfinite(arrays[key]).all()
            for key, part in parts.items()
        )

    @torch.no_grad()
    def _imagine(self, actions: Any, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors = self._actions.from_env(actions)
        if len(vectors) != self.num_envs:
            raise ValueError(f"there must be an action for each of the {self.num_envs} lanes, not {len(vectors)}")
        padded = torch.zeros(len(self._seen), vectors.shape[1], device=vectors.device)
        padded[: self.num_envs] = vectors
        moves = torch.zeros_like(self._fresh)
        moves[: self.num_envs] = torch.from_numpy(moving)
        outputs = []
        for first in range(0, len(padded), GROUP):
            rows = slice(first, first + GROUP)
            state = tuple(part[rows] for part in self._state)
            out, after = open_loop(self.model, self._seen[rows], padded[None, rows], state, self._fresh[rows])
            outputs.append(out)
            for part, new in zip(self._state, after, strict=True):
                part[rows] = torch.where(moves[rows].view(-1, *[1] * (new.dim() - 1)), new, part[rows])
        out = torch.cat(outputs, 1)
        if not torch.isfinite(out[:, moves]).all():
            raise FloatingPointError("the world model predicts what is not finite: dream with a shorter horizon")
        named, moved = self.model.named(out), moves[:, None]
        self._seen = torch.where(moved, out[0, :, : self._encoder.observation_size], self._seen)
        self._observation = torch.where(moved, named["observation"][0], self._observation)
        self._fresh &= ~moves
        if self._encoder.has_goal:
            self._achieved = torch.where(moved, named["achieved_goal"][0], self._achieved)
            reward = self.objective(named, self._desired[None])[0]
        else:
            reward = named["reward"][0] * self.model.scale.reward
        goes_on = self.model.continues(out)
        ends = np.zeros(self.num_envs)
        if goes_on is not None:
            ends = 1 - goes_on[0, : self.num_envs].double().cpu().numpy()
        chances = self._chances[np.arange(self.num_envs), np.minimum(self._elapsed, self.horizon - 1)]
        return reward[: self.num_envs].double().cpu().numpy(), ends > chances

    def _begin(self, lanes: np.ndarray, generators: Sequence[np.random.Generator]) -> None:
        if self._starts is None:
            self._list_places()
        places = torch.zeros(len(self._seen), dtype=torch.int64)
        for lane, generator in zip(lanes.tolist(), generators, strict=True):
            if self._starts is None:
                places[lane] = self._places[int(generator.integers(len(self._places)))]
            self._chances[lane] = generator.random(self.horizon) if self.sampled else 0.5
        rows = torch.from_numpy(lanes)
        if self._starts is not None:
            self._begin_at_starts(rows)
            return
        for group in np.unique(lanes // GROUP).tolist():
            whole = slice(group * GROUP, (group + 1) * GROUP)
            self._begin_in_replay(rows[rows // GROUP == group], whole, places[whole])

    def _begin_at_starts(self, rows: Tensor) -> None:
        encoder = self._encoder
        self._observation[rows] = encoder.observation(self._starts)[rows]
        self._seen[rows] = self.model.scale(self._observation[rows])
        self._fresh[rows] = True
        if encoder.has_goal:
            self._desired[rows] = encoder.desired(self._starts)[rows]
            self._achieved[rows] = encoder.percept(self._starts)[rows][:, encoder.goal_slice]

    @property
    def _before(self) -> int:
        """Steps of the replay read before a start; an achieved goal of its own is known from the one before."""
        return max(self.burn_in, int(self._encoder.has_goal and not self._encoder.shares_goal))

    def _list_places(self) -> None:
        """Lists the steps of the replay where an episode may begin, as time * columns + column.

        Raises:
            ValueError: there is none.
        """
        replay, columns = self.replay, self.replay.data.shape[1]
        if self._counted == replay.count:
            return
        times = torch.arange(replay.count - len(replay) + self._before, replay.count)
        allowed = torch.ones(len(times), columns, dtype=torch.bool)
        if self._before > self.burn_in:
            allowed = replay.data[times % len(replay.data), :, replay.fields["episode_start"]][..., 0].cpu() < 0.5
        places = (times[:, None] * columns + torch.arange(columns))[allowed]
        if not len(places):
            raise ValueError(
                "the replay has no step to start from: let the agent learn first, or reset the dream with "
                "options={'starts': observations}"
            )
        self._places, self._counted = places, replay.count

    def _begin_in_replay(self, rows: Tensor, group: slice, places: Tensor) -> None:
        """Some rows of a group begin at steps of the replay; the places of the others are read for nothing."""
        encoder, columns = self._encoder, self.replay.data.shape[1]
        places = places.clamp(min=int(self._places[0]))
        window = self.replay.at(places // columns - self._before, places % columns, self._before + 1)
        own = rows - group.start
        self._observation[rows] = window["observation"][-1, own]
        if encoder.has_goal:
            goals = window["observation"][-1] if encoder.shares_goal else window["next_percept"][-2]
            self._achieved[rows] = goals[own][:, encoder.goal_slice]
            self._desired[rows] = window["desired_goal"][-1, own]
        window = self.model.scale.scaled(window)
        self._seen[rows] = window["observation"][-1, own]
        self._fresh[rows] = window.flag("episode_start")[-1, own]
        for part, new in zip(self._state, state_before(self.model, window, self.burn_in), strict=True):
            part[rows] = new[own]

    def _observe(self) -> Any:
        count = self.num_envs
        return self._encoder.decode(self._observation[:count], self._achieved[:count], self._desired[:count])
