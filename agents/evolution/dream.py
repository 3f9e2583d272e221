"""M dreams: a vector environment whose next observation is drawn from M's mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from ..common.imagined import ImaginedVectorEnv
from ..common.keywords import check_keywords
from .gaussians import sample
from .memory import Memory, Observes
from .mixture import MixtureModel
from .vae import drawn

Ends = Literal["expected", "sample", "cut"]
HORIZON = 1_000
BLOCK = 32  # steps for which a lane draws its noise at once


@final
class MixtureDream(ImaginedVectorEnv):
    """N episodes inside M, where a controller may train without the real environment.

    Ha & Schmidhuber, World Models, arXiv 1809.01999 (2018), section 4. An episode begins with the first code of a real
    one; every further code is drawn from M's mixture. A controller exploits the errors of M that it can rely on: the
    higher the temperature, the less it can rely on any.

    The reward is that of M's own unit, or else 1 for every step survived. With p(t) the probability of an end that M
    predicts, `ends` says what an end is:

    - "sample": the episode ends with the probability p(t).
    - "cut": it ends where p(t) > 1/2, as published.
    - "expected": it goes on to the horizon, and the reward of a step is prod_{s <= t} (1 - p(s)), the probability to
      survive it; or, where M has a unit for the reward, r(t) prod_{s < t} (1 - p(s)). The return is then what "sample"
      gives on average.

    Args:
        model: M.
        starts: mean and log variance, each (n, K), of first codes, see `CodedRecording.starts`.
        num_envs: N.
        horizon: an episode is truncated after so many steps.
        temperature: tau > 0, see `sample`.
        ends: see above.
        observes: what an observation holds, see `Memory`.
        seed: of the first reset, unless that has one.
        autoreset_mode: "same_step", "next_step" or "disabled", or Gymnasium's AutoresetMode.

    Raises:
        ValueError: an impossible number, another mode or word, or starts that do not fit M.
    """

    def __init__(
        self,
        model: MixtureModel,
        starts: tuple[Tensor, Tensor],
        num_envs: int = 1,
        horizon: int = HORIZON,
        *,
        temperature: float = 1.0,
        ends: Ends = "expected",
        observes: Observes = "zh",
        seed: int | None = None,
        autoreset_mode: str | AutoresetMode = "same_step",
    ) -> None:
        if ends not in get_args(Ends):
            raise ValueError(f"ends must be one of {', '.join(map(repr, get_args(Ends)))}, not {ends!r}")
        check_keywords(MixtureDream, {"num_envs": num_envs, "horizon": horizon, "temperature": temperature})
        if any(part.dim() != 2 or part.shape[1] != model.codes for part in starts) or not len(starts[0]):
            raise ValueError(f"starts must be mean and log variance, each (n, {model.codes})")
        self.model, self.starts, self.temperature, self.ends = model, starts, temperature, ends
        self._memory = Memory(model, num_envs, observes)
        spaces = self._memory.space, model.actions.space
        super().__init__(*spaces, num_envs, horizon, seed=seed, autoreset_mode=autoreset_mode)
        rows = self._memory.rows
        self._episodes: list[np.random.Generator] = [np.random.default_rng(0)] * num_envs
        self._uniform = np.zeros((BLOCK, rows, model.codes + 1), np.float32)  # of the Gaussians, and of the end
        self._normal = np.zeros((BLOCK, rows, model.codes), np.float32)
        self._survival = np.ones(num_envs)

    def _begin(self, lanes: np.ndarray, generators: Sequence[np.random.Generator]) -> None:
        places, noise = np.zeros(len(lanes), np.int64), np.zeros((len(lanes), self.model.codes), np.float32)
        for i, (lane, generator) in enumerate(zip(lanes.tolist(), generators, strict=True)):
            self._episodes[lane] = generator
            places[i] = generator.integers(len(self.starts[0]))
            generator.standard_normal(out=noise[i], dtype=np.float32)
        self._survival[lanes] = 1.0
        mean, log_variance = (part[torch.from_numpy(places)] for part in self.starts)
        self._memory.begin(lanes, drawn(mean, log_variance, noise=torch.from_numpy(noise).to(mean)))

    @torch.inference_mode()
    def _imagine(self, actions: Any, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        memory, count = self._memory, self.num_envs
        vectors = self.model.actions.from_env(actions)
        if len(vectors) != count:
            raise ValueError(f"there must be an action for each of the {count} lanes, not {len(vectors)}")
        uniform, normal = self._noise(moving)
        said = self.model.named(memory.advance(vectors, moving))
        codes = sample(said, self.temperature, (torch.from_numpy(uniform[:, :-1]), torch.from_numpy(normal)))
        lanes = np.flatnonzero(moving)
        finite = math.isfinite(codes.sum())  # almost always, and then nothing else has to be looked at
        if not finite and not torch.isfinite(codes[torch.from_numpy(lanes)]).all():
            raise FloatingPointError("M predicts what is not finite: shorten the horizon or lower the temperature")
        memory.put(lanes, codes)
        p = np.zeros(count)
        if said.end is not None:
            p = said.end[:count].double().sigmoid().cpu().numpy()
        rewards = None if said.reward is None else said.reward[:count].double().cpu().numpy()
        if self.ends == "expected":
            before = self._survival.copy()
            self._survival[moving] *= 1 - p[moving]
            return (self._survival.copy() if rewards is None else before * rewards), np.zeros(count, bool)
        terminated = p > (0.5 if self.ends == "cut" else uniform[:count, -1])
        return ((~terminated).astype(np.float64) if rewards is None else rewards), terminated

    def _observe(self) -> np.ndarray:
        return self._memory.observe()

    def _noise(self, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Uniform (rows, K + 1) and normal numbers (rows, K) of this step, from each lane's own generator."""
        place = self._elapsed % BLOCK
        for lane in np.flatnonzero(moving & (place == 0)).tolist():
            generator = self._episodes[lane]
            self._uniform[:, lane] = generator.random(self._uniform.shape[::2], dtype=np.float32)
            self._normal[:, lane] = generator.standard_normal(self._normal.shape[::2], dtype=np.float32)
        lanes = np.arange(self.num_envs)
        uniform, normal = np.zeros(self._uniform.shape[1:], np.float32), np.zeros(self._normal.shape[1:], np.float32)
        uniform[: self.num_envs], normal[: self.num_envs] = self._uniform[place, lanes], self._normal[place, lanes]
        return uniform, normal
