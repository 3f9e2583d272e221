"""Learning M from recorded episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..common.losses import check_losses, descend, learned
from ..common.sequences import Replay
from ..common.sequences import Sequence as Steps
from ..cores import State
from ..cores.ops.checks import whole, within
from .episodes import Episode
from .scale import Scale

BURN_IN = 8  # steps that a core with a state reads before its predictions count


class Predictor(Protocol):
    """What `fit_episodes` needs of a `WorldModel`."""

    scale: Scale

    def initial_state(self, batch_size: int) -> State: ...
    def loss(self, sequence: Steps, state: State | None = None, skipped: int = 0) -> Tensor: ...
    def losses(self, sequence: Steps, state: State | None = None, skipped: int = 0) -> dict[str, Tensor]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...


def fit_episodes(
    model: Predictor,
    episodes: Sequence[Episode],
    *,
    epochs: int = 20,
    batch_size: int = 64,
    window: int = 10,
    burn_in: int | None = None,
    learning_rate: float = 3e-3,
    held_out: float = 0.1,
    seed: int = 0,
) -> list[dict[str, float]]:
    """M descends its loss on windows of episodes, by Adam; its scales, if it has any, take the episodes in first.

    Args:
        model: M, changed in place.
        episodes: at least two.
        epochs: times that as many steps are drawn as there are.
        batch_size: windows in a minibatch.
        window: steps of a window that count.
        burn_in: steps before them that M's core reads; None: 8 where it has a state, else 0.
        learning_rate: Adam's.
        held_out: share of the episodes that M does not learn from, at least one of them.
        seed: of the choice of episodes and windows.

    Returns:
        After every epoch, the loss of every head on the episodes held out, see `WorldModel.losses`, and their sum,
        "loss".

    Raises:
        ValueError: fewer than two episodes, or an impossible number.
        FloatingPointError: a loss is not finite; that update has not changed the parameters.
    """
    for name, number in {"epochs": epochs, "batch_size": batch_size, "window": window}.items():
        whole(name, number)
    if burn_in is not None:
        whole("burn_in", burn_in, 0)
    if not within(held_out, 0, 1) or held_out in (0, 1):
        raise ValueError(f"held_out must be a number between 0 and 1, not {held_out!r}")
    if len(episodes) < 2:
        raise ValueError("fit needs at least two episodes, since it holds one out")
    if burn_in is None:
        burn_in = BURN_IN if model.initial_state(1) else 0
    order = np.random.default_rng(seed).permutation(len(episodes))
    cut = min(len(episodes) - 1, max(1, round(held_out * len(episodes))))
    test, train = ([episodes[number] for number in part] for part in (order[:cut], order[cut:]))
    replay = _replay(train)
    model.scale.take(replay.newest(len(replay)))
    unseen = _replay(test)
    unseen_steps = model.scale.scaled(unseen.newest(len(unseen)))
    optimizer = torch.optim.Adam(learned(model.parameters()), lr=learning_rate)
    length = min(burn_in + window, len(replay))
    skipped = min(burn_in, length - 1)
    history = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(epochs):
            for _ in range(-(-len(replay) // (batch_size * window))):
                batch = model.scale.scaled(replay.windows(length, batch_size))
                loss = model.loss(batch, model.initial_state(batch_size), skipped)
                check_losses(epoch * len(replay), model_loss=loss)
                descend(optimizer, loss)
            with torch.no_grad():
                losses = {name: float(own) for name, own in model.losses(unseen_steps, model.initial_state(1)).items()}
            history.append({**losses, "loss": sum(losses.values())})
    return history


def _replay(episodes: Sequence[Episode]) -> Replay:
    """Episodes one after the other, in a single column."""
    fields: dict[str, Any] = {name: torch.cat([getattr(one, name) for one in episodes]) for name in vars(episodes[0])}
    fields["episode_start"] = torch.cat([torch.arange(len(one.reward))[:, None] == 0 for one in episodes])
    count = len(fields["reward"])
    replay = Replay({name: part.shape[1] for name, part in fields.items()}, 1, count, fields["reward"].device)
    rows = torch.cat([part.to(replay.data) for part in fields.values()], 1)
    replay.set_state({"data": rows[:, None], "count": count})
    return replay
