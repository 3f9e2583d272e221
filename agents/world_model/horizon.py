"""How far M can be trusted: its error over the distance that it imagines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..cores.ops.checks import whole
from .controller import WorldModelController
from .open_loop import open_loop, state_before
from .scale import varies


@dataclass(frozen=True)
class HorizonErrors:
    """M's errors at the distances 1, 2, ..., K, in steps.

    Attributes:
        distances: (K,) int64.
        rmse: (K,) root mean squared error of the predicted observation, over windows and over the numbers that change;
            in units of each number's spread where M learns scales (`Scale`), else in those of the environment.
        mean_rmse: (K,) the error of always predicting the mean: 1 where M learns scales, else the standard deviation.
    """

    distances: np.ndarray
    rmse: np.ndarray
    mean_rmse: np.ndarray

    @property
    def no_better_from(self) -> int | None:
        """The first distance at which M is no better than the mean; None: it is better at all of them."""
        beaten = self.distances[~(self.rmse < self.mean_rmse)]  # what is not a number is no better
        return int(beaten[0]) if len(beaten) else None


@torch.no_grad()
def horizon_errors(agent: WorldModelController, horizon: int, *, windows: int = 2_000, seed: int = 0) -> HorizonErrors:
    """M's errors at up to `horizon` steps from reality.

    In windows of the replay M starts from a real observation, with the state that its core has there, and is fed its
    own predictions and the actions that were taken. A window counts up to the end of its episode.

    Args:
        agent: with experience in its replay.
        horizon: largest distance; the result has fewer where no window is as long before its episode ends.
        windows: how many are drawn.
        seed: of the draw.

    Raises:
        ValueError: an impossible number, or a replay without `burn_in` and `horizon` steps a lane.
    """
    whole("horizon", horizon)
    whole("windows", windows)
    model, burn_in = agent.world_model, agent.burn_in
    if len(agent.replay) < burn_in + horizon:
        raise ValueError(
            f"a window takes {burn_in + horizon} steps, and the replay has {len(agent.replay)} a lane: ask for a "
            "smaller horizon, or train longer; the replay of a finished run is in its checkpoints, not in model.zip"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        window = model.scale.scaled(agent.replay.windows(burn_in + horizon, windows))
    state, rest = state_before(model, window[: burn_in + 1], burn_in), window[burn_in:]
    start = rest["observation"][0], rest["action"], state, rest.flag("episode_start")[0]
    size = model.encoder.observation_size
    predicted, real = open_loop(model, *start)[0][..., :size], rest["next_percept"][..., :size]
    goes_on = torch.cat((torch.ones_like(rest["ended"][:1]), 1 - rest["ended"][:-1])).cumprod(0)  # (K, windows, 1)
    counts = goes_on.sum((1, 2))
    reached = int((counts > 0).sum())
    entire = real[goes_on[..., 0] > 0.5]
    spread = entire.std(0, unbiased=False)
    changing = varies(spread, entire.mean(0))
    changing = changing if bool(changing.any()) else torch.ones_like(changing)
    square = ((predicted - real).square() * goes_on)[..., changing].mean(-1).sum(1)
    rmse = (square / counts.clamp(min=1)).sqrt()[:reached].double().cpu().numpy()
    mean = float(spread[changing].square().mean().sqrt()) if not model.scale.observations else 1.0
    return HorizonErrors(np.arange(1, reached + 1), rmse, np.full(reached, mean))
