"""Attention as a bottleneck: a controller is told where the patches are that matter most, and nothing else."""

from __future__ import annotations

import math
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..cores.ops.checks import whole
from ..cores.ops.compiled import fast
from ..cores.ops.vectors import load, spread, store
from .kernels import add, cells, start
from .nets import LSTM, Net

FEATURES = 4  # of a query, and of a key: eight numbers a patch, which is one vector
TOGETHER = 4  # patches that are read side by side
TWOS = np.float32(1 / math.log(2)), np.float32(-125.0)  # e^x = 2^(x / ln 2), and the smallest power that counts
SERIES = tuple(np.float32(math.log(2) ** k / math.factorial(k)) for k in range(7))  # of 2^x for |x| <= 1/2


@final
class Attention(Net):
    """Where the K patches are that all others attend to most, read by an LSTM: y = V h + c.

    Tang, Nguyen & Ha, Neuroevolution of self-interpretable agents (arXiv 2003.08165). Patches p (n, d) of the image
    have queries Q = p W_q + b_q and keys K = p W_k + b_k; a patch matters as much as its column of
    softmax(Q K^T / sqrt(d)) adds up to. The LSTM sees the places of the best, in the order of their importance, and
    none of their pixels. It has two biases, as the published one. With images of three channels and three outputs
    there are 3,667 parameters.

    Its state is that of the LSTM, h and c, and then the K places, as row and column from 0 to 1, for those who watch.

    Args:
        inputs: (H, W, C) of the images, uint8.
        outputs: A.
        hidden: H, of the LSTM.
        patches: K.
        side: of a patch, pixels.
        stride: between patches, pixels.

    Raises:
        ValueError: the image has fewer patches than K.
    """

    sees_images = True

    def __init__(
        self, inputs: tuple[int, ...], outputs: int, hidden: int = 16, patches: int = 10, side: int = 7, stride: int = 4
    ) -> None:
        places = 2 * whole("patches", patches)
        self.reader = LSTM(places, outputs, hidden)
        super().__init__(places, outputs, self._act)
        side, stride = whole("side", side), whole("stride", stride)
        self.shape, self.patches, self.side, self.stride = inputs, patches, side, stride
        self.rows, self.columns = ((length - side) // stride + 1 for length in inputs[:2])
        if min(self.rows, self.columns) < 1 or self.rows * self.columns < patches:
            raise ValueError(f"images {inputs} have fewer than {patches} patches of {side} x {side} pixels")
        pixels = side * side * inputs[2]
        own = {"query_bias": (FEATURES,), "key_bias": (FEATURES,), "second_bias": (4 * hidden,)}
        self.layers = {"query": (pixels, FEATURES), "key": (pixels, FEATURES), **own, **self.reader.layers}
        self.state_size = self.reader.state_size + places
        lengths = zip((self.rows, self.columns), inputs[:2], strict=True)
        centres = [(stride * np.arange(n) + side / 2) / length for n, length in lengths]
        self.centres = np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, 2)

    def _act(
        self, weights: np.ndarray, who: np.ndarray, active: np.ndarray, images: np.ndarray, *written: np.ndarray
    ) -> None:
        how = self.centres, self.reader.state_size, self.side, self.stride, self.columns
        attention(weights, who, active, images, *how, *written)

    def forward(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Net.forward`; x is (B, H, W, C), from 0 to 255."""
        part = self.parts(weights)
        images = x.to(weights.dtype).movedim(-1, 1) / 255
        patches = F.unfold(images, self.side, stride=self.stride)  # (B, C * side * side, n), then as the kernel reads
        patches = (
            patches.view(len(x), x.shape[3], self.side**2, -1).permute(0, 3, 2, 1).flatten(2)
        )  # as the kernel reads
        query, key = (patches @ part[name] + part[f"{name}_bias"] for name in ("query", "key"))
        mass = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(patches.shape[2]), 2).sum(1)
        best = mass.topk(self.patches, 1).indices
        places = torch.from_numpy(self.centres).to(weights)[best].flatten(1)
        own, size = dict(part), self.reader.state_size
        own["bias"] = part["bias"] + part["second_bias"]
        read = torch.cat([own[name].flatten() for name in self.reader.layers])
        out, after = self.reader.forward(read, places, state[:, :size])
        return out, torch.cat((after, places), 1)


@fast
def attention(
    weights: np.ndarray, who: np.ndarray, active: np.ndarray, images: np.ndarray, centres: np.ndarray, size: int,
    side: int, stride: int, columns: int, state: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """The kernel of `Attention`, see `kernels`: centres (n, 2) of the patches, S of the LSTM, and how patches lie."""
    count, width = len(centres), side * side * images.shape[3]
    table, features = np.empty(8 * (width + 1), np.float32), np.empty(8 * count, np.float32)
    pixels, mass = np.empty(images[0].size, np.float32), np.empty(count, np.float32)
    for i in range(len(who)):
        if active[i]:
            w, own = weights[who[i]], state[i]
            at = _tabulate(w, width, table)
            _read(images[i], pixels, table, side, stride, columns, features)
            _weigh(features, np.float32(1 / math.sqrt(width)), mass)
            best = own[size:]
            for k in range(len(best) // 2):
                place = np.argmax(mass)
                best[2 * k], best[2 * k + 1] = centres[place, 0], centres[place, 1]
                mass[place] = -1.0
            second = w[at : at + 2 * size]
            at = cells(w, at + 2 * size, second, best, own[:size])
            at = start(w, at, out[i])
            add(w, at, own[: size // 2], out[i])


@fast
def _tabulate(w: np.ndarray, width: int, table: np.ndarray) -> int:
    """Query and key of each pixel side by side, then the two biases; returns the place after these weights."""
    for k in range(width):
        for f in range(FEATURES):
            table[8 * k + f] = w[FEATURES * k + f]
            table[8 * k + FEATURES + f] = w[FEATURES * (width + k) + f]
    at = 2 * FEATURES * width
    for f in range(2 * FEATURES):
        table[8 * width + f] = w[at + f]
    return at + 2 * FEATURES


@fast
def _read(
    image: np.ndarray, pixels: np.ndarray, table: np.ndarray, side: int, stride: int, columns: int, features: np.ndarray
) -> None:
    """Query and key of every patch, eight numbers each; four patches of a row at a time."""
    flat, share = image.reshape(-1), np.float32(1 / 255)
    for k in range(len(pixels)):
        pixels[k] = np.float32(flat[k]) * share
    channels = image.shape[2]
    line, run, step = image.shape[1] * channels, side * channels, stride * channels
    bias = len(table) - 8
    for row in range(len(features) // (8 * columns)):
        for column in range(0, columns, TOGETHER):
            last = columns - 1 - column
            first = stride * row * line + column * step
            one, two, three = min(1, last), min(2, last), min(3, last)  # at the end of a row the last one again
            a = load(table, bias)
            b, c, d = a, a, a
            for y in range(side):
                base, at = first + y * line, 8 * y * run
                for k in range(run):
                    weight = load(table, at + 8 * k)
                    a = a + spread(pixels, base + k) * weight
                    b = b + spread(pixels, base + k + one * step) * weight
                    c = c + spread(pixels, base + k + two * step) * weight
                    d = d + spread(pixels, base + k + three * step) * weight
            place = 8 * (row * columns + column)
            store(features, place, a)
            store(features, place + 8 * one, b)
            store(features, place + 8 * two, c)
            store(features, place + 8 * three, d)


@fast
def _weigh(features: np.ndarray, share: np.float32, mass: np.ndarray) -> None:
    """How much all patches attend to each: the sums of the columns of softmax(share Q K^T)."""
    count = len(mass)
    keys = np.empty((FEATURES, count), np.float32)
    for j in range(count):
        for f in range(FEATURES):
            keys[f, j] = features[8 * j + FEATURES + f]
    scores, rest = np.empty(count, np.float32), np.empty(count, np.float32)
    bits = np.empty(count, np.int32)
    powers = bits.view(np.float32)
    mass[:] = np.float32(0.0)
    unit = share * TWOS[0]
    for i in range(count):
        q, r = features[8 * i] * unit, features[8 * i + 1] * unit
        s, t = features[8 * i + 2] * unit, features[8 * i + 3] * unit
        for j in range(count):
            scores[j] = q * keys[0, j] + r * keys[1, j] + s * keys[2, j] + t * keys[3, j]
        highest = scores.max()
        for j in range(count):
            x = max(scores[j] - highest, TWOS[1])
            whole = np.int32(x - np.float32(0.5))  # to the nearest, as x <= 0
            rest[j] = x - np.float32(whole)
            bits[j] = (whole + np.int32(127)) << np.int32(23)  # the float 2^whole
        total = np.float32(0.0)
        for j in range(count):
            x = rest[j]
            p = SERIES[6] * x + SERIES[5]
            p = ((((p * x + SERIES[4]) * x + SERIES[3]) * x + SERIES[2]) * x + SERIES[1]) * x + SERIES[0]
            scores[j] = p * powers[j]
            total += scores[j]
        part = np.float32(1.0) / total
        for j in range(count):
            mass[j] += scores[j] * part
