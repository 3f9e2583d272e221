"""Several world models of the same experience, which disagree where they know little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..common.sequences import Sequence
from ..cores import State
from ..cores.ops.checks import whole
from .model import WorldModel


class Ensemble(WorldModel):
    """A world model M, and others beside it that learn from the same windows, drawn anew for each with replacement.

    M alone dreams and acts on C. The others say how much of its predictions is known: where experience is plenty they
    agree, elsewhere they differ by what they began with (Pathak, Gandhi & Gupta, arXiv 1906.04161). If its core has no
    state, what M says of an imagined step has one number more, their disagreement, for a curious C to climb.

    Args:
        arguments: those of `WorldModel`.
        members: number of models, M included.
        keywords: of `WorldModel`.
    """

    def __init__(self, *arguments: Any, members: int = 3, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        whole("members", members, 2)
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

    @property
    def disagrees(self) -> bool:
        """Whether imagined steps have a disagreement."""
        return not self.memory_size

    def step(self, observation: Tensor, action: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """See `WorldModel.step`; the last number is the disagreement, see `disagreement`."""
        out, after = super().step(observation, action, state, episode_start)
        if not self.disagrees:
            return out, after
        part = self.heads["percept"]
        rest = (other.step(observation, action, state, episode_start)[0][..., part] for other in self.others)  # type: ignore[operator]
        return torch.cat((out, self._spread([out[..., part], *rest])[..., None]), -1), after

    def named(self, outputs: Tensor) -> dict[str, Tensor]:
        """See `WorldModel.named`; of imagined steps also `disagreement` (T, B)."""
        width = max(part.stop for part in self.heads.values())
        named = super().named(outputs)
        return {**named, "disagreement": outputs[..., -1]} if outputs.shape[-1] > width else named

    def _spread(self, percepts: list[Tensor]) -> Tensor:
        """Root of the variance (...) over members, averaged over the numbers of percepts (..., P)."""
        variance = self.in_changes(torch.stack(percepts)).var(0).mean(-1)
        return (variance + 1e-12).sqrt()  # whose slope is finite where all agree

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
        return self._spread([said[..., part] for said in (first, *rest)])
