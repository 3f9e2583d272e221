"""Third-order memories: entities in relations."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State
from .lstm import LSTM
from .ops.chunked import read, write_delta
from .ops.norms import unit

READS = 3


def bind(entity: Tensor, relation: Tensor) -> Tensor:
    """The tensor product of an entity (..., E) and a relation (..., R), as a vector (..., E R)."""
    return (entity.unsqueeze(-1) * relation.unsqueeze(-2)).flatten(-2)


def chained_reads(memory: Tensor, entity: Tensor, relations: list[Tensor], norm: nn.Module) -> list[Tensor]:
    """n_i = norm(F[n_(i-1), relation_i]): each read gives the entity of the next; F (..., E R, E)."""
    reads = []
    for relation in relations:
        entity = norm(read(memory, bind(entity, relation)))
        reads.append(entity)
    return reads


@final
class TensorProduct(Recurrence):
    """F[e1, r1] <- e2, F[e1, r2] <- what F[e1, r1] was, F[e2, r3] <- e1, then three chained reads n <- norm(F[n, l]).

    Schlag & Schmidhuber, Learning to reason with third-order tensor products, NIPS 2018, arXiv 1811.12143. Entities
    e1, e2, n and relations r1, r2, r3, l1, l2, l3 are the unit vectors of tanh(W x(t)). Each assignment is a delta rule
    of rate 1 with the key e r^T. Each acts on the result of the last, so each is a projection and F stays bounded;
    the paper adds all three changes to the same F. y = W_o (n_1 + n_2 + n_3) + W_x x.

    Args:
        input_size: D, width of the input.
        size: H, width of the output.
        entity_size: E.
        relation_size: R.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(
        self, input_size: int, size: int = 64, entity_size: int = 16, relation_size: int = 16, **options: Any
    ) -> None:
        super().__init__(input_size, size, **options)
        self.widths = [entity_size] * 3 + [relation_size] * (3 + READS)
        self.slow = nn.Linear(input_size, sum(self.widths))
        self.norm = nn.LayerNorm(entity_size)
        self.out, self.past = nn.Linear(entity_size, size), nn.Linear(input_size, size, bias=False)
        self.set_initial_state(torch.zeros(entity_size * relation_size, entity_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """e1, e2, n (..., E) and r1, r2, r3, l1, l2, l3 (..., R)."""
        return tuple(unit(part) for part in torch.tanh(self.slow(x)).split_with_sizes(self.widths, -1))

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes three times, then reads three times; the state is F (B, E R, E)."""
        (e1, e2, entity, r1, r2, r3, *relations), (memory,) = inputs, state
        key = bind(e1, r1)
        old = read(memory, key)
        memory = write_delta(memory, key, e2)
        memory = write_delta(memory, bind(e1, r2), old)
        memory = write_delta(memory, bind(e2, r3), e1)
        reads = chained_reads(memory, entity, relations, self.norm)
        return torch.stack(reads).sum(0), (memory,)

    def emit(self, read: Tensor, x: Tensor) -> Tensor:
        """y (..., H) from the sum of the reads (..., E) and x (..., D)."""
        y: Tensor = self.out(read) + self.past(x)
        return y


@final
class FastWeightMemory(Recurrence):
    """An LSTM writes F += (s r^T) (beta (v - F[s, r]))^T, F /= max(1, |F|), and reads three times n <- norm(F[n, l]).

    Schlag, Munkhdalai & Schmidhuber, Learning associative inference using fast weight memory, arXiv 2011.07831 (2020).
    s, r, v, n and l are tanh of the LSTM's h, s and r made unit vectors, beta logistic. y = h + W_o n_3.

    The authors' code differs: s and r are not made unit vectors, F changes by 1/E of the above, beta = logistic(b + 1),
    and the reads begin with n and l without tanh. `published` does as it does. Here a write with beta = 1 stores v
    exactly, whatever E.

    Args:
        input_size: D, width of the input.
        size: H, number of the LSTM's cells and width of the output.
        memory_size: E, width of s, r, v, n and l.
        forget_bias: of the LSTM.
        published: whether to compute as the authors' code does.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(
        self,
        input_size: int,
        size: int = 64,
        memory_size: int = 16,
        forget_bias: float = 3.0,
        published: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(input_size, size, **options)
        self.published = published
        self.controller = LSTM(input_size, size, forget_bias)
        self.widths = [memory_size] * (4 + READS) + [1]
        self.slow = nn.Linear(size, sum(self.widths))
        self.norm = nn.LayerNorm(memory_size)
        self.out = nn.Linear(memory_size, size)
        self.set_initial_state(torch.zeros(size), torch.zeros(size), torch.zeros(memory_size**2, memory_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the input sends to the LSTM's cells."""
        return self.controller.project(x)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step of the LSTM, a write, the reads; the state is h, c (B, H) and F (B, E^2, E)."""
        hidden, cells = self.controller.advance(inputs, state[:2])
        *parts, beta = self.slow(hidden).split_with_sizes(self.widths, -1)
        s, r, value = (torch.tanh(part) for part in parts[:3])
        entity, *relations = parts[3:]
        if self.published:
            memory = write_delta(state[2], bind(s, r), value, torch.sigmoid(beta + 1) / value.shape[-1])
        else:
            entity, *relations = (torch.tanh(part) for part in (entity, *relations))
            memory = write_delta(state[2], bind(unit(s), unit(r)), value, torch.sigmoid(beta))
        memory = memory / memory.flatten(1).norm(dim=-1).clamp(min=1)[:, None, None]
        y = hidden + self.out(chained_reads(memory, entity, relations, self.norm)[-1])
        return y, (*cells, memory)
