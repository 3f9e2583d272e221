"""Compiled loops over lanes, each of which is one candidate: what its net says, and what it remembers.

All have the same arguments: weights (P, n) float64, who (N,) int64 (the candidate of each lane), active (N,) bool,
x (N, D) float64, state (N, S) float64 and out (N, A) float64, the last two written in place. A lane's numbers do not
depend on the other lanes, to the bit. The order of the weights is that of `nets`.
"""

from __future__ import annotations

import math

import numpy as np

from ..cores.ops.compiled import compiled


@compiled
def add(w: np.ndarray, at: int, x: np.ndarray, out: np.ndarray) -> int:
    """out += W x, with W (len(out), len(x)) at a place of w; returns the place after it."""
    width = len(x)
    for a in range(len(out)):
        total = 0.0
        for d in range(width):
            total += w[at + d] * x[d]
        out[a] += total
        at += width
    return at


@compiled
def start(w: np.ndarray, at: int, out: np.ndarray) -> int:
    """out = b, the bias at a place of w; returns the place after it."""
    for a in range(len(out)):
        out[a] = w[at + a]
    return at + len(out)


@compiled
def linear(
    weights: np.ndarray, who: np.ndarray, active: np.ndarray, x: np.ndarray, state: np.ndarray, out: np.ndarray
) -> None:
    """See `nets.Linear`; with as many weights as the matrices alone there is no bias."""
    width, differs = x.shape[1], state.shape[1] > 0
    biased = weights.shape[1] > (1 + differs) * width * out.shape[1]
    change = np.empty(width)
    for i in range(len(who)):
        if active[i]:
            w, at = weights[who[i]], 0
            if biased:
                at = start(w, at, out[i])
            else:
                out[i] = 0.0
            at = add(w, at, x[i], out[i])
            if differs:
                for k in range(width):
                    change[k] = x[i, k] - state[i, k] if state[i, width] > 0.0 else 0.0
                    state[i, k] = x[i, k]
                state[i, width] = 1.0
                add(w, at, change, out[i])


@compiled
def recurrent(
    weights: np.ndarray, who: np.ndarray, active: np.ndarray, x: np.ndarray, state: np.ndarray, out: np.ndarray
) -> None:
    """See `nets.Recurrent`."""
    for i in range(len(who)):
        if active[i]:
            w = weights[who[i]]
            at = _hidden(w, x[i], state[i])
            at = start(w, at, out[i])
            add(w, at, state[i], out[i])


@compiled
def _hidden(w: np.ndarray, x: np.ndarray, hidden: np.ndarray) -> int:
    """h = tanh(b + U x + R h), in place; returns the place after its weights."""
    new = np.empty_like(hidden)
    at = start(w, 0, new)
    at = add(w, at, x, new)
    at = add(w, at, hidden, new)
    for k in range(len(new)):
        hidden[k] = math.tanh(new[k])
    return at


@compiled
def lstm(
    weights: np.ndarray, who: np.ndarray, active: np.ndarray, x: np.ndarray, state: np.ndarray, out: np.ndarray
) -> None:
    """See `nets.LSTM`."""
    for i in range(len(who)):
        if active[i]:
            w = weights[who[i]]
            at = cells(w, 0, w[:0], x[i], state[i])
            at = start(w, at, out[i])
            add(w, at, state[i, : state.shape[1] // 2], out[i])


@compiled
def cells(w: np.ndarray, at: int, second: np.ndarray, x: np.ndarray, state: np.ndarray) -> int:
    """One step of an LSTM, h and c in place; returns the place after its weights. `second`: a bias more, or empty."""
    size = len(state) // 2
    hidden, cells = state[:size], state[size:]
    gates = np.empty(4 * size)
    at = start(w, at, gates)
    for k in range(len(second)):
        gates[k] += second[k]
    at = add(w, at, x, gates)
    at = add(w, at, hidden, gates)
    for k in range(size):
        kept = _logistic(gates[size + k]) * cells[k]
        cells[k] = kept + _logistic(gates[k]) * math.tanh(gates[2 * size + k])
        hidden[k] = _logistic(gates[3 * size + k]) * math.tanh(cells[k])
    return at


@compiled
def _logistic(x: float) -> float:
    return 0.5 + 0.5 * math.tanh(0.5 * x)  # which does not overflow


@compiled
def fast_weights(
    weights: np.ndarray, who: np.ndarray, active: np.ndarray, x: np.ndarray, state: np.ndarray, out: np.ndarray
) -> None:
    """See `nets.FastWeights`."""
    count, width = out.shape[1], x.shape[1] + 1
    written = np.empty(count * width)
    for i in range(len(who)):
        if active[i]:
            w = weights[who[i]]
            at = _hidden(w, x[i], state[i])
            at = start(w, at, written)
            add(w, at, state[i], written)
            at = start(written, 0, out[i])
            add(written, at, x[i], out[i])
