"""Linear recurrences of a memory S (K, V): one step, and all steps in chunks.

S <- a S, u = beta (v - S^T k) for the delta rule or u = v for the sum rule, S <- S + k u^T, o = S^T q.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 32


def read(memory: Tensor, key: Tensor) -> Tensor:
    """S^T k: (..., V) from S (..., K, V) and k (..., K)."""
    return (key.unsqueeze(-2) @ memory).squeeze(-2)


def write(memory: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """S + k v^T: (..., K, V) from S (..., K, V), k (..., K) and v (..., V)."""
    return memory + key.unsqueeze(-1) * value.unsqueeze(-2)


def write_delta(memory: Tensor, key: Tensor, value: Tensor, beta: Tensor | float = 1.0) -> Tensor:
    """S + beta k (v - S^T k)^T, the delta rule (Widrow & Hoff 1960); beta (..., 1).

    With a unit key and beta 1, the key reads the value afterwards.
    """
    return write(memory, key, beta * (value - read(memory, key)))


def chunked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    memory: Tensor,
    episode_start: Tensor,
    *,
    beta: Tensor | None = None,
    log_gate: Tensor | None = None,
    initial: Tensor | None = None,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Computes all steps of the recurrence above exactly, in chunks of a few matrix products each.

    Inside a chunk with segments seg = cumsum(episode_start) and log gates g summed since the start of the segment
    (or of the chunk), steps see each other through M_ij = [seg_i = seg_j, i >= j] exp(g_i - g_j), and the delta rule's
    u = (I + tril(beta_i k_i.k_j M_ij, -1))^-1 beta (v - what S had for k) is a triangular system (the WY form; Yang et
    al., arXiv 2406.06484 and 2412.06464), solved by substitution: a Neumann series is unstable if keys are similar.

    Args:
        query, key: (T, B, heads, K).
        value: (T, B, heads, V).
        memory: S (B, heads, K, V) before the first step.
        episode_start: (T, B) bool.
        beta: (T, B, heads, 1), rate of the delta rule; None: the sum rule.
        log_gate: (T, B, heads, 1), log a <= 0, finite; None: a = 1.
        initial: (..., heads, K, V), S at an episode's start; None: zero.
        chunk: number of steps computed at once.

    Returns:
        o (T, B, heads, V) and S after the last step.
    """
    steps = len(query)
    chunk = min(chunk, steps)
    q, k, v = (_cut(part, chunk) for part in (query, key, value))
    segment = _cut(episode_start[..., None, None], chunk).cumsum(3)
    within, kept, begun = _decays(segment, None if log_gate is None else _cut(log_gate, chunk), q.dtype)
    change, erase = v, torch.zeros_like(k)
    if beta is not None:
        known = 0 if initial is None else begun * (k @ initial)
        change, erase = _solve(k, v - known, kept * k, _cut(beta, chunk), within)
    # The last rows of `within`, `kept` and `begun` say what remains of each write, S and `initial` after the chunk.
    writes, remains = (within[..., -1:, :].mT * k).mT, kept[..., -1:, :]
    renewed = torch.zeros_like(remains) if initial is None else begun[..., -1:, :] * initial
    memories, changes = [], []
    for new, gone, way, remain, fresh in zip(change, erase, writes, remains, renewed, strict=True):
        memories.append(memory)
        changes.append(new - gone @ memory)
        memory = remain * memory + way @ changes[-1] + fresh
    out = (kept * q) @ torch.stack(memories) + ((q @ k.mT) * within) @ torch.stack(changes)
    if initial is not None:
        out = out + begun * (q @ initial)
    return out.movedim(3, 1).flatten(0, 1)[:steps], memory


def _solve(key: Tensor, value: Tensor, decayed: Tensor, beta: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """U and W of the WY form: the changes u of a chunk that starts with S are U - W S."""
    system = beta * (key @ key.mT) * within
    sides = beta * torch.cat((value, decayed), -1)
    solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
    change, erase = solved.split_with_sizes((value.shape[-1], key.shape[-1]), -1)
    return change, erase


def _cut(x: Tensor, chunk: int) -> Tensor:
    """(T, B, heads, size) to (chunks, B, heads, chunk, size), padded with steps that change nothing."""
    x = F.pad(x, (0, 0) * (x.dim() - 1) + (0, -len(x) % chunk))
    return torch.unflatten(x, 0, (-1, chunk)).movedim(1, 3)


def _decays(segment: Tensor, log_gate: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """What remains at step i of a write at j, of the chunk's first memory, and of an initial state inside the chunk."""
    visible = (segment == segment.mT).tril()
    first = segment == 0
    if log_gate is None:
        return visible.to(dtype), first.to(dtype), (~first).to(dtype)
    # A product: a cumulative sum over the chunk would leave rounding errors in gradients across resets.
    total = visible.to(dtype) @ log_gate
    within = (total - total.mT).masked_fill(~visible, -torch.inf).exp()
    return within, total.exp() * first, total.exp() * ~first
