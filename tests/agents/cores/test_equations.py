"""The cores against their equations, written a second time in the plainest form, and against torch's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agents.cores import make_core
from agents.cores.chunked import chunked, read, write_delta
from agents.cores.features import FeatureMap

T, B, D = 70, 2, 4
NONE = torch.zeros(T, B, dtype=torch.bool)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def make(name: str, **keywords: Any) -> Any:
    torch.manual_seed(0)
    return make_core(name, D, **keywords).double()


def sequence(*shape: int) -> Tensor:
    return torch.randn(*(shape or (T, B, D)), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def run(core: Any, x: Tensor) -> Tensor:
    return core(x, core.initial_state(B), NONE[: len(x)])[0]


def test_lstm_is_torchs() -> None:
    core, other = make("lstm", size=6), nn.LSTM(D, 6).double()
    other.load_state_dict(
        {
            "weight_ih_l0": core.read.weight,
            "bias_ih_l0": core.read.bias,
            "weight_hh_l0": core.recall.weight,
            "bias_hh_l0": torch.zeros(24),
        }
    )
    torch.testing.assert_close(run(core, sequence()), other(sequence())[0], **EXACT)
    assert core.read.bias[6:12].eq(3).all()
    assert make("lstm", forget_bias=0).read.bias.eq(0).all()


def test_gru_is_torchs() -> None:
    core, other = make("gru", size=6), nn.GRU(D, 6).double()
    other.load_state_dict(
        {
            "weight_ih_l0": core.read.weight,
            "bias_ih_l0": core.read.bias,
            "weight_hh_l0": core.recall.weight,
            "bias_hh_l0": core.recall.bias,
        }
    )
    torch.testing.assert_close(run(core, sequence()), other(sequence())[0], **EXACT)


def test_elman_is_torchs() -> None:
    core, other = make("elman", size=6), nn.RNN(D, 6).double()
    other.load_state_dict(
        {
            "weight_ih_l0": core.read.weight,
            "bias_ih_l0": core.read.bias,
            "weight_hh_l0": core.recall.weight,
            "bias_hh_l0": torch.zeros(6),
        }
    )
    torch.testing.assert_close(run(core, sequence()), other(sequence())[0], **EXACT)


@pytest.mark.parametrize("features", ["elu", "dpfp1", "dpfp2", "dpfp3", "softmax", "silu", "favor"])
@pytest.mark.parametrize("form", ["parallel", "loop"])
def test_linear_attention_is_the_sum_over_the_past(features: str, form: str) -> None:
    core, x = make("linear_attention", features=features, form=form), sequence()
    q, k, v = core.project(x)
    o = torch.einsum("tbhk,sbhk,sbhv,ts->tbhv", q, k, v, torch.ones(T, T, dtype=torch.float64).tril())
    torch.testing.assert_close(run(core, x), core.emit(o, x), **EXACT)


@pytest.mark.parametrize("features", ["elu", "dpfp2", "silu"])
@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("form", ["parallel", "loop"])
def test_the_delta_family_multiplies_the_matrices(form: str, updates: int, gate: bool, features: str) -> None:
    core = make("delta", features=features, updates=updates, gate=gate, beta_max=2.0, form=form)
    x = sequence()
    q, *pairs = core.project(x)
    alpha = pairs.pop().exp() if gate else torch.ones(T, B, 4, 1)
    eye = torch.eye(q.shape[-1], dtype=torch.float64)
    memory = torch.zeros(B, 4, q.shape[-1], 16, dtype=torch.float64)
    reads = []
    for t in range(T):
        memory = alpha[t, ..., None] * memory
        for i in range(updates):
            k, v, beta = (part[t] for part in pairs[3 * i : 3 * i + 3])
            forget = eye - beta[..., None] * torch.einsum("bhk,bhl->bhkl", k, k)
            memory = torch.einsum("bhkl,bhlv->bhkv", forget, memory) + torch.einsum("bhk,bhv->bhkv", k, beta * v)
        reads.append(torch.einsum("bhk,bhkv->bhv", q[t], memory))
    torch.testing.assert_close(run(core, x), core.emit(torch.stack(reads), x), **EXACT)


@pytest.mark.parametrize("name", ["delta", "delta_elu", "delta_dpfp", "gated_delta", "delta_product"])
def test_what_is_written_is_read(name: str) -> None:
    core = make(name)
    (memory,) = core.initial_state(B)
    key = nn.functional.normalize(sequence(B, *memory.shape[1:3]), dim=-1)
    value, one = sequence(B, 4, 16), torch.ones(B, 4, 1, dtype=torch.float64)
    gate = [-one] if core.gate else []
    read_out, (memory,) = core.advance((key, *[key, value, one] * core.updates, *gate), (torch.randn_like(memory),))
    assert (read_out - value).abs().max() < 1e-12
    assert (read(memory, key) - value).abs().max() < 1e-12


def test_what_is_written_in_chunks_is_read() -> None:
    k = nn.functional.normalize(sequence(T, B, 3, 8), dim=-1)
    v, one = sequence(T, B, 3, 5), torch.ones(T, B, 3, 1, dtype=torch.float64)
    out, memory = chunked(k, k, v, sequence(B, 3, 8, 5), NONE, beta=one)
    assert (out - v).abs().max() < 1e-12
    assert (read(memory, k[-1]) - v[-1]).abs().max() < 1e-12


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_chunks_are_stable_in_float32_for_keys_of_correlation_99(beta: float) -> None:
    common, own = sequence(1, B, 3, 16), torch.randn(512, B, 3, 16, dtype=torch.float64)
    k = nn.functional.normalize(0.99**0.5 * common + 0.1 * own, dim=-1)
    q, v = torch.randn(512, B, 3, 16, dtype=torch.float64), torch.randn(512, B, 3, 16, dtype=torch.float64)
    rate, starts = torch.full((512, B, 3, 1), beta, dtype=torch.float64), torch.zeros(512, B, dtype=torch.bool)
    memory = torch.zeros(B, 3, 16, 16, dtype=torch.float64)
    exact, _ = chunked(q, k, v, memory, starts, beta=rate)
    single, _ = chunked(*(part.float() for part in (q, k, v, memory)), starts, beta=rate.float())
    assert (single - exact).abs().max() < 1e-5 * exact.abs().max()
    reads = []
    for t in range(512):
        memory = write_delta(memory, k[t], v[t], beta)
        reads.append(read(memory, q[t]))
    torch.testing.assert_close(exact, torch.stack(reads), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("log_gate", [-1e-4, -3.0, -500.0])
def test_chunks_are_exact_for_any_gate_and_length(log_gate: float) -> None:
    q, k, v = sequence(T, B, 3, 8), nn.functional.normalize(sequence(T, B, 3, 8), dim=-1), sequence(T, B, 3, 5)
    one = torch.ones(T, B, 3, 1, dtype=torch.float64)
    starts = torch.rand(T, B, generator=torch.Generator().manual_seed(4)) < 0.1
    initial = sequence(3, 8, 5)
    results = [
        chunked(q, k, v, sequence(B, 3, 8, 5), starts, beta=one, log_gate=log_gate * one, initial=initial, chunk=chunk)
        for chunk in (1, 16, 128)
    ]
    for other in results[1:]:
        torch.testing.assert_close(results[0], other, **EXACT)


def test_dpfp_is_the_product_of_neighbours() -> None:
    phi = FeatureMap("dpfp2", 2)(torch.tensor([3.0, -2.0]))
    r = [3.0, 0.0, 0.0, 2.0]
    products = torch.tensor([r[j] * r[(j - i) % 4] for i in (1, 2) for j in range(4)])
    torch.testing.assert_close(phi, products / products.sum(), rtol=1e-5, atol=1e-5)


def test_favor_approximates_the_exponential_kernel() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 50, 16) / 2
    estimate = torch.zeros(50, 50)
    for _ in range(200):
        phi = FeatureMap("favor", 16)
        estimate += phi(q) @ phi(k).T / 200
    exact = (q @ k.T / math.sqrt(16)).exp()
    assert ((estimate - exact).norm() / exact.norm()) < 0.1


@pytest.mark.parametrize("outer", [True, False])
def test_fast_weights_of_1991_read_before_they_change(outer: bool) -> None:
    core = make("fast_weights_1991", size=2, outer=outer, fast_inputs=[0, 3], slow_inputs=[1, 2])
    x = sequence(3, 1, D)
    w = torch.zeros(2, 2, dtype=torch.float64)
    for t in range(3):
        programme = core.slow(x[t, 0, 1:3])
        change = torch.outer(programme[:2], programme[2:]) if outer else programme.view(2, 2)
        torch.testing.assert_close(
            core(x[: t + 1], core.initial_state(1), NONE[: t + 1, :1])[0][t, 0], x[t, 0, ::3] @ w
        )
        w = 1 / (1 + torch.exp(-10 * (w + change - 0.5)))
