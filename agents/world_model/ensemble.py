"""Several world models of the same experience, which disagree where they know little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..common.sequences import Sequence
from ..cores import State
from .model import WorldModel


class Ensemble(WorldModel):
    """A world model M, and others beside it that learn from the same windows, drawn anew for each with replacement.

    M alone dreams and acts on C. The others say how much of its predictions is known: where experience is plenty they
    agree, elsewhere they differ by what they began with (Pathak, Gandhi & Gupta, arXiv 1906.04161).

    Args:
        arguments: those of `WorldModel`.
        members: number of models, M included.
        keywords: of `WorldModel`.
    """

    def __init__(self, *arguments: Any, members: int = 3, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if members < 2:
            raise ValueError(f"members must be at least 2, not {members}")
        self.others = nn.ModuleList(WorldModel(*arguments, **keywords) for _ in range(members - 1))

    def losses(self, sequence: Sequence, state: State | None = None, skipped: int = 0) -> dict[str, Tensor]:
        """Those of M, see `WorldModel.losses`, and ``others``, the sum of theirs."""
        losses = super().losses(sequence, state, skipped)
        columns = sequence.data.shape[1]
        others = []
        for other in self.others:
            drawn = Sequence(sequence.data[:, torch.randint(columns, (columns,))], sequence.fields)
            others += other.losses(drawn, other.initial_state(columns), skipped).values()  # type: ignore[operator]
        return {**losses, "others": torch.stack(others).sum()}

    @torch.no_grad()
    def disagreement(self, sequence: Sequence, state: State | None = None) -> Tensor:
        """Standard deviation (T, B) of what the members predict after real steps, from the state at their start.

        The root of the variance over members, averaged over the numbers of the percept, each in units of its change.

        Args:
            sequence: in the units of training, as ``scale.scaled(agent.replay.newest(20))``.
            state: of M's core before it; None: as it was recorded.
        """
        part, columns = self.heads["percept"], sequence.data.shape[1]
        first = self.observe(sequence, state)
        rest = (other.observe(sequence, other.initial_state(columns)) for other in self.others)  # type: ignore[operator]
        predicted = self.in_changes(torch.stack([first, *rest])[..., part])
        return predicted.var(0).mean(-1).sqrt()
