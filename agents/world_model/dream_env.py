"""M in the shape of a Gymnasium vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..common.sequences import Replay
from ..cores import State
from .model import WorldModel
from .objectives import Objective
from .open_loop import open_loop, state_before

HORIZON = 50
GROUP = 32  # lanes that M imagines at once, always as many: the last bits depend on the size of a batch
MODES = {"same_step": AutoresetMode.SAME_STEP, "next_step": AutoresetMode.NEXT_STEP}


class DreamVectorEnv(gym.vector.VectorEnv[Any, Any, np.ndarray]):
    """N episodes inside a world model: Gymnasium's vector environment, for any library that trains in one.

    An episode begins at a real step of the replay, with the state that M's core has there. From then on M is fed its
    own predictions and the actions given. Observations, rewards and actions are those of the real environment, in its
    units; an agent that trained under VecNormalize dreams in the units that it sees. With goal keys, the desired goal
    is that of the real step, and the reward is the agent's objective of the predicted achieved goal.

    The dream reads M and the replay as they are: where the agent learns on, the dream changes. Lane i is seeded
    `seed + i`, and its episodes do not depend on the number of lanes.

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
        autoreset_mode: "same_step" or "next_step", or Gymnasium's AutoresetMode.

    Raises:
        ValueError: an impossible number, another mode, or a model without actions.
    """

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
        if num_envs < 1 or horizon < 1:
            raise ValueError(f"num_envs and horizon must be at least 1, not {num_envs} and {horizon}")
        mode = MODES.get(autoreset_mode, autoreset_mode) if isinstance(autoreset_mode, str) else autoreset_mode
        if mode not in MODES.values():
            raise ValueError(f"autoreset_mode must be one of {', '.join(map(repr, MODES))}, not {autoreset_mode!r}")
        if model.actions is None:
            raise ValueError("this world model does not know its action space: make it with WorldModel.of")
        self.model, self.replay, self.objective = model, replay, objective
        self.num_envs, self.horizon, self.burn_in, self.sampled = num_envs, horizon, burn_in, sampled
        self.autoreset_mode = mode
        self.metadata = {"autoreset_mode": mode, "render_modes": []}
        self._actions, self._encoder = model.actions, model.encoder
        self.single_observation_space, self.single_action_space = self._encoder.space, self._actions.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        # Rows beyond N fill up the last group.
        rows, device = -(-num_envs // GROUP) * GROUP, self._encoder.device
        self._observation = torch.zeros(rows, self._encoder.observation_size, device=device)  # in the real units
        self._seen = torch.zeros_like(self._observation)  # scaled
        self._achieved = torch.zeros(rows, self._encoder.goal_size, device=device)
        self._desired = torch.zeros_like(self._achieved)
        self._fresh = torch.zeros(rows, dtype=torch.bool, device=device)  # whether a real episode begins there
        self._state: State = tuple(part.clone() for part in model.initial_state(rows))
        self._elapsed = np.zeros(num_envs, np.int64)
        self._pending = np.zeros(num_envs, bool)  # episode over, reset still to come
        self._chances = np.zeros((num_envs, horizon))
        self._generators: list[np.random.Generator] = []
        self._seed = seed
        self._starts: Any = None
        self._places = torch.zeros(0, dtype=torch.int64)
        self._counted = -1  # steps of the replay when they were listed

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode in every lane.

        Args:
            seed: of lane 0, lane i takes `seed + i`; or one a lane, None for those that go on with theirs.
            options: {"starts": observations (N, ...)}: every episode of a lane begins at its own, as a real one does,
                until the next reset. Without it they begin at steps drawn uniformly from the replay.

        Raises:
            ValueError: an unknown option, starts that do not fit the space, or a replay that has no step to start from.
        """
        options = options or {}
        if options.keys() - {"starts"}:
            raise ValueError(f"the only option of a dream's reset is 'starts', not {sorted(options)}")
        starts = self._turned(options.get("starts"))
        if starts is not None and not self._fits(starts):
            raise ValueError(f"starts must be {self.num_envs} observations, an element of {self.observation_space}")
        self._starts = starts
        if seed is None and not self._generators:
            seed = self._seed if self._seed is not None else int(np.random.default_rng().integers(1 << 32))
        if seed is not None:
            self._seed_lanes(seed)
        self._pending[:] = False
        self._begin(np.arange(self.num_envs))
        return self._observe(), {}

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

    def _seed_lanes(self, seed: int | Sequence[int | None]) -> None:
        seeds = [seed + lane for lane in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"a list of seeds must have one for each of the {self.num_envs} lanes, not {len(seeds)}")
        old = self._generators or [np.random.default_rng() for _ in seeds]
        pairs = zip(seeds, old, strict=True)
        self._generators = [own if given is None else np.random.default_rng(given) for given, own in pairs]

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One imagined step in every lane.

        Args:
            actions: (N, ...) of the real action space; lanes about to be reset ("next_step") ignore theirs.

        Returns:
            Observations, rewards (N,) float64, terminated (N,) bool, truncated (N,) bool, and infos, in "same_step"
            mode with `final_obs` where an episode ended.

        Raises:
            gymnasium.error.ResetNeeded: there was no reset.
            ValueError: actions of a wrong shape, or that the space does not have.
            FloatingPointError: M predicts what is not finite.
        """
        if not self._generators:
            raise gym.error.ResetNeeded("reset the dream before its first step")
        vectors = self._actions.from_env(actions)
        if len(vectors) != self.num_envs:
            raise ValueError(f"there must be an action for each of the {self.num_envs} lanes, not {len(vectors)}")
        waiting = self._pending.copy()
        rewards, terminated = self._imagine(vectors)
        rewards[waiting], terminated[waiting] = 0.0, False
        self._elapsed += 1
        truncated = (self._elapsed >= self.horizon) & ~waiting
        ended = terminated | truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            if ended.any():
                infos = {"final_obs": self._last(ended), "_final_obs": ended, "final_info": {}, "_final_info": ended}
                self._begin(np.flatnonzero(ended))
        else:
            self._begin(np.flatnonzero(waiting))
            self._pending = ended
        return self._observe(), rewards, terminated, truncated, infos

    @torch.no_grad()
    def _imagine(self, vectors: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """M's predictions become the lanes' observations; rewards (N,) and whether an episode ends (N,)."""
        padded = torch.zeros(len(self._seen), vectors.shape[1], device=vectors.device)
        padded[: self.num_envs] = vectors
        outputs = []
        for first in range(0, len(padded), GROUP):
            rows = slice(first, first + GROUP)
            state = tuple(part[rows] for part in self._state)
            out, after = open_loop(self.model, self._seen[rows], padded[None, rows], state, self._fresh[rows])
            outputs.append(out)
            for part, new in zip(self._state, after, strict=True):
                part[rows] = new
        out = torch.cat(outputs, 1)
        if not torch.isfinite(out).all():
            raise FloatingPointError("the world model predicts what is not finite: dream with a shorter horizon")
        named = self.model.named(out)
        self._seen, self._observation = out[0, :, : self._encoder.observation_size], named["observation"][0]
        self._fresh = torch.zeros_like(self._fresh)
        if self._encoder.has_goal:
            self._achieved = named["achieved_goal"][0]
            reward = self.objective(named, self._desired[None])[0]
        else:
            reward = named["reward"][0] * self.model.scale.reward
        goes_on = self.model.continues(out)
        ends = np.zeros(self.num_envs)
        if goes_on is not None:
            ends = 1 - goes_on[0, : self.num_envs].double().cpu().numpy()
        chances = self._chances[np.arange(self.num_envs), np.minimum(self._elapsed, self.horizon - 1)]
        return reward[: self.num_envs].double().cpu().numpy(), ends > chances

    def _begin(self, lanes: np.ndarray) -> None:
        """New episodes in some lanes (n,)."""
        if not len(lanes):
            return
        if self._starts is None:
            self._list_places()
        places = torch.zeros(len(self._seen), dtype=torch.int64)
        for lane in lanes.tolist():
            generator = self._generators[lane]
            if self._starts is None:
                places[lane] = self._places[int(generator.integers(len(self._places)))]
            self._chances[lane] = generator.random(self.horizon) if self.sampled else 0.5
        self._elapsed[lanes] = 0
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

    def _last(self, ended: np.ndarray) -> np.ndarray:
        """(N,) object array: the last observation of each lane that ended, else None."""
        final, whole = np.full(self.num_envs, None, object), self._observe()
        for lane in np.flatnonzero(ended).tolist():
            final[lane] = {key: part[lane] for key, part in whole.items()} if isinstance(whole, dict) else whole[lane]
        return final
