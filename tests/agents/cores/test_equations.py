"""The cores against their equations, written a second time in the plainest form, and against torch's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agents.cores import make_core
from agents.cores.ops.chunked import chunked, read, write_delta
from agents.cores.ops.delta_scan import scanned
from agents.cores.ops.features import FeatureMap

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


@pytest.mark.parametrize(("columns", "width"), [(2, 5), (40, 16)])
def test_loops_equal_chunks_for_any_width_and_number_of_columns(columns: int, width: int) -> None:
    rng = torch.Generator().manual_seed(5)
    shapes = ((8,), (8,), (width,), (1,), (1,))
    parts = [torch.randn(T, columns, 3, *shape, dtype=torch.float64, generator=rng) for shape in shapes]
    q, k, v, rate, log_gate = parts[0], nn.functional.normalize(parts[1], dim=-1), *parts[2:]
    memory, initial = torch.randn(columns, 3, 8, width, dtype=torch.float64), sequence(3, 8, width)
    inputs = [q, k, v, memory, rate.sigmoid(), nn.functional.logsigmoid(log_gate + 3), initial]
    starts = torch.rand(T, columns, generator=rng) < 0.1
    results = []
    for rule in (chunked, scanned):
        leaves = [part.clone().requires_grad_() for part in inputs]
        out, last = rule(*leaves[:4], starts, beta=leaves[4], log_gate=leaves[5], initial=leaves[6])
        (out.cos().sum() + last.sin().sum()).backward()
        results.append([out, last, *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(*results, **EXACT)


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


def test_fast_weights_of_1993_change_where_both_units_are_extreme() -> None:
    core, x = make("fast_weights_1993", size=3, bound=0.7), sequence(5, 1, D)
    w, y = core.slow, torch.zeros(3, dtype=torch.float64)
    for t in range(5):
        sources = torch.cat((x[t, 0], torch.ones(1), y))
        y = torch.tanh(w @ sources)
        w = (w + torch.outer(y**3, sources.clamp(-1, 1) ** 3)).clamp(-0.7, 0.7)
    out, (_, shift) = core(x, core.initial_state(1), NONE[:5, :1])
    torch.testing.assert_close(out[-1, 0], y)
    torch.testing.assert_close(core.slow + shift[0], w)


def test_fast_weights_of_2016_attend_to_the_recent_past() -> None:
    core, x = make("fast_weights_2016", size=6, inner_steps=2), sequence(9, 1, D)
    states = [torch.zeros(6, dtype=torch.float64)]
    for t in range(9):
        drive = core.read(x[t, 0]) + core.recall(states[-1])
        h = drive.relu()
        for _ in range(2):
            past = [0.5 * 0.95 ** (t - 1 - s) * old * (old @ h) for s, old in enumerate(states[1:])]
            h = core.norm(drive + sum(past)).relu()
        states.append(h)
    torch.testing.assert_close(core(x, core.initial_state(1), NONE[:9, :1])[0][:, 0], torch.stack(states[1:]))


@pytest.mark.parametrize("rule", ["hebb", "delta"])
def test_dynamic_links_add_a_fast_weight_to_every_slow_one(rule: str) -> None:
    core, x = make("dynamic_links", size=3, rule=rule, decay=0.8, rate=0.3), sequence(6, 1, D)
    slow = torch.cat((core.read.bias[:, None], core.read.weight, core.recall.weight), 1)
    fast, h = torch.zeros_like(slow), torch.zeros(3, dtype=torch.float64)
    for t in range(6):
        z = torch.cat((torch.ones(1), x[t, 0], h))
        expected = fast @ z if rule == "delta" else 0.0
        h = torch.tanh((slow + fast) @ z)
        fast = 0.8 * fast + 0.3 * torch.outer(h - expected, z) / (z @ z)
    torch.testing.assert_close(final(core, x)[0], h, **EXACT)


@pytest.mark.parametrize("form", ["parallel", "loop"])
@pytest.mark.parametrize("window", [7, 100])
def test_window_attention_is_masked_attention(window: int, form: str) -> None:
    core, x = make("window_attention", window=window, form=form), sequence()
    core.distance.data.normal_()
    q, k, v = (part.permute(1, 2, 0, 3) for part in core.slow(x))
    lag = torch.arange(T)[:, None] - torch.arange(T)
    bias = core.distance[:, lag.clamp(0, window - 1)].masked_fill((lag < 0) | (lag >= window), -torch.inf)
    o = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(run(core, x), core.emit(o.permute(2, 0, 1, 3), x), **EXACT)


@pytest.mark.parametrize("form", ["packed", "loop"])
@pytest.mark.parametrize("window", [7, 100])
def test_additive_attention_compares_by_a_net(window: int, form: str) -> None:
    core, x = make("additive_attention", window=window, form=form), sequence(20, B, D)
    core.distance.data.normal_()
    q, k, v = core.slow(x)
    reads = torch.zeros(20, B, 4, 16, dtype=torch.float64)
    for t in range(20):
        steps = range(max(0, t - window + 1), t + 1)
        score = [core.distance[:, t - j] + (core.weight * torch.tanh(q[t] + k[j])).sum(-1) for j in steps]
        for share, j in zip(torch.stack(score).softmax(0), steps, strict=True):
            reads[t] += share[..., None] * v[j]
    torch.testing.assert_close(run(core, x), core.emit(reads, x), **EXACT)


def test_gated_fast_weights_interpolate() -> None:
    core, x = make("gated_fast_weights"), sequence()
    memory = torch.zeros(B, 4, 16, 16, dtype=torch.float64)
    for t in range(T):
        q, a, b, c, d = core.project(x[t])
        gate = torch.sigmoid(torch.einsum("bhk,bhv->bhkv", a, b) - 3)
        memory = gate * torch.tanh(torch.einsum("bhk,bhv->bhkv", c, d)) + (1 - gate) * memory
    torch.testing.assert_close(run(core, x)[-1], core.emit(torch.einsum("bhk,bhkv->bhv", q, memory), x[-1]), **EXACT)


def delta(memory: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    """The delta rule for one world and one head."""
    return memory + beta * torch.outer(k, v - k @ memory)


def test_recurrent_and_deep_deltas_for_one_head() -> None:
    x, width = sequence(6, 1, D), {"heads": 1, "key_size": 3, "value_size": 5}
    logistic, softmax = torch.sigmoid, lambda part: part.softmax(-1)
    zeros = {shape: torch.zeros(shape, dtype=torch.float64) for shape in [(3, 5), (5, 5), (3, 3), (3, 12), 5]}

    core = make("delta_rnn", **width)
    w, r, o = zeros[3, 5], zeros[5, 5], zeros[5]
    for t in range(6):
        q, k, v, b, rk, rv, rb = (part[0, 0] for part in core.slow(x[t]))
        w, r = delta(w, softmax(k), v, logistic(b)), delta(r, softmax(rk), rv, logistic(rb))
        o = softmax(q) @ w + softmax(o) @ r
    torch.testing.assert_close(final(core, x), core.emit(o[None, None], x[-1]), **EXACT)

    core = make("recurrent_delta", **width)
    s, o = zeros[3, 5], zeros[5]
    for t in range(6):
        q, k, v, b = (core.slow.linear(x[t, 0]) + core.recall(torch.tanh(o))).split((3, 3, 5, 1))
        s = delta(s, softmax(k), v, logistic(b))
        o = softmax(q) @ s
    torch.testing.assert_close(final(core, x), core.emit(o[None, None], x[-1]), **EXACT)

    core = make("delta_lstm", **width)
    w, r, c, o = [zeros[3, 5]] * 3, [zeros[5, 5]] * 3, zeros[5], zeros[5]
    for t in range(6):
        z = []
        for i in range(3):
            q, k, v, b, rk, rv, rb = (part[0, i] for part in core.slow(x[t]))
            w[i], r[i] = delta(w[i], softmax(k), v, logistic(b)), delta(r[i], softmax(rk), rv, logistic(rb))
            z.append(softmax(q) @ w[i] + softmax(o) @ r[i])
        c = logistic(z[0]) * z[1] + (1 - logistic(z[0])) * c
        o = logistic(z[2]) * c
    torch.testing.assert_close(final(core, x), core.emit(o[None, None], x[-1]), **EXACT)

    core = make("delta_delta", **width)
    s1, s2 = zeros[3, 12], zeros[3, 5]
    for t in range(6):
        q, k, v, b = (part[0, 0] for part in core.slow(x[t]))
        s1 = delta(s1, softmax(k), v, logistic(b))
        q, k, v, b = (softmax(q) @ s1).split((3, 3, 5, 1))
        s2 = delta(s2, softmax(k), v, logistic(b))
    torch.testing.assert_close(final(core, x), core.emit((softmax(q) @ s2)[None, None], x[-1]), **EXACT)

    core = make("delta_mlp", **width)
    s1, s2 = zeros[3, 3], zeros[3, 5]
    for t in range(6):
        q, k1, v1, b1, k2, v2, b2 = (part[0, 0] for part in core.slow(x[t]))
        s1, s2 = delta(s1, softmax(k1), v1, logistic(b1)), delta(s2, softmax(k2), v2, logistic(b2))
    o = softmax(softmax(q) @ s1) @ s2
    torch.testing.assert_close(final(core, x), core.emit(o[None, None], x[-1]), **EXACT)


def final(core: Any, x: Tensor) -> Tensor:
    """The last output of a sequence of one world."""
    return core(x, core.initial_state(1), NONE[: len(x), :1])[0][-1]


def test_a_self_referential_matrix_writes_what_it_reads() -> None:
    core, x = make("self_referential", heads=1, key_size=3, value_size=5), sequence(6, 1, D)
    w = core.slow[0]
    for t in range(6):
        o, q, k, b = (core.read(x[t])[0][0, 0].softmax(-1) @ w).split((5, 3, 3, 4))
        q, k = q.softmax(-1), k.softmax(-1)
        columns, start = [], 0
        for size, rate in zip((5, 3, 3, 4), torch.sigmoid(b), strict=True):
            columns.append(delta(w[:, start : start + size], k, q @ w[:, start : start + size], rate))
            start += size
        w = torch.cat(columns, 1)
    torch.testing.assert_close(final(core, x), core.emit(o[None, None], x[-1]), **EXACT)


def test_the_matrix_of_1992_finds_its_weights_by_their_addresses() -> None:
    core, x = make("self_referential_1992", size=2, hidden=1), sequence(4, 1, D)
    core.slow.data.mul_(5)
    w = core.slow
    units, val = torch.zeros(len(w), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for t in range(4):
        net = w @ torch.cat((x[t, 0], torch.ones(1), units, val))
        plain, ana, mod = net.split((4, core.bits, core.bits))
        units = torch.cat((plain.tanh(), ana.sigmoid(), mod.sigmoid()))
        near, changed = torch.zeros((), dtype=torch.float64), []
        for c, weight in enumerate(w.flatten()):
            address = torch.tensor([float(c >> i & 1) for i in range(core.bits)])
            near = near + weight * 16 ** -(ana.sigmoid() - address).square().sum()
            changed.append(weight + units[3] * 16 ** -(mod.sigmoid() - address).square().sum())
        val, w = near[None], torch.stack(changed).view_as(w)
    y, (_, end, shift) = core(x, core.initial_state(1), NONE[:4, :1])
    torch.testing.assert_close((y[-1, 0], end[0], core.slow + shift[0]), (units[:2], val, w), **EXACT)
    assert 2**core.bits >= w.numel()


def test_a_tensor_product_memory_relates_entities() -> None:
    core, x = make("tensor_product", entity_size=5, relation_size=3), sequence(6, 1, D)
    memory = torch.zeros(5, 3, 5, dtype=torch.float64)

    def look(entity: Tensor, relation: Tensor) -> Tensor:
        return torch.einsum("e,r,erf->f", entity, relation, memory)

    for t in range(6):
        e1, e2, n, r1, r2, r3, *relations = (part[0] for part in core.project(x[t]))
        old = look(e1, r1)
        for entity, relation, value in ((e1, r1, e2), (e1, r2, old), (e2, r3, e1)):
            memory = memory + torch.einsum("e,r,f->erf", entity, relation, value - look(entity, relation))
    total = torch.zeros(5, dtype=torch.float64)
    for relation in relations:
        n = core.norm(look(n, relation))
        total = total + n
    torch.testing.assert_close(final(core, x), core.emit(total[None], x[-1]), **EXACT)


def test_fast_weight_memory_is_bounded_and_reads_in_chains() -> None:
    core, x = make("fast_weight_memory", size=6, memory_size=4), 3 * sequence()
    core.slow.weight.data.mul_(5)
    y, (h, _, memory) = core(x, core.initial_state(B), NONE)
    assert 0.5 < memory.flatten(1).norm(dim=-1).max() <= 1 + 1e-12
    *_, n, l1, l2, l3, _ = (torch.tanh(part) for part in core.slow(h).split(core.widths, -1))
    for relation in (l1, l2, l3):
        n = core.norm(torch.einsum("be,br,berf->bf", n, relation, memory.view(B, 4, 4, 4)))
    torch.testing.assert_close(y[-1], h + core.out(n), **EXACT)


def test_fast_weight_memory_as_published_writes_a_share() -> None:
    core, x = make("fast_weight_memory", size=6, memory_size=4, published=True), sequence(5, 1, D)
    h, c, memory = core.initial_state(1)
    expected = torch.zeros(4, 4, 4, dtype=torch.float64)
    for t in range(5):
        y, (h, c, memory) = core.step(x[t], (h, c, memory), torch.zeros(1, dtype=torch.bool))
        s, r, value, n, *relations, beta = core.slow(h)[0].split(core.widths)
        s, r, value = s.tanh(), r.tanh(), value.tanh()
        error = (beta + 1).sigmoid() * (value - torch.einsum("e,r,erf->f", s, r, expected))
        expected = expected + torch.einsum("e,r,f->erf", s, r, error) / 4
        expected = expected / expected.norm().clamp(min=1)
        for relation in relations:
            n = core.norm(torch.einsum("e,r,erf->f", n, relation, expected))
        torch.testing.assert_close((memory[0].view(4, 4, 4), y[0]), (expected, h[0] + core.out(n)), **EXACT)


def test_heads_of_a_recurrent_delta_net_may_keep_to_themselves() -> None:
    core, x = make("recurrent_delta", mixes_heads=False), sequence(6, 1, D)
    read = core(x, core.initial_state(1), NONE[:6, :1])[1][1]
    core.own_recall.data[0].add_(1)
    other = core(x, core.initial_state(1), NONE[:6, :1])[1][1]
    assert not torch.allclose(read[:, 0], other[:, 0])
    torch.testing.assert_close(read[:, 1:], other[:, 1:], **EXACT)


def test_vsml_has_one_rule_for_all_weights() -> None:
    sizes = [sum(p.numel() for p in make_core("vsml", D, size=size).parameters()) for size in (2, 9)]
    assert sizes[0] == sizes[1]
    core, x = make("vsml", size=3), sequence(5, 1, D)
    order = torch.tensor([2, 0, 3, 1])
    state = core.initial_state(1)
    y, _ = core(x, state, NONE[:5, :1])
    permuted, _ = core(x[..., order], tuple(part[:, order] for part in state), NONE[:5, :1])
    torch.testing.assert_close(y, permuted, **EXACT)
    assert not torch.allclose(y[..., 0], y[..., 1])


@pytest.mark.parametrize("form", ["compiled", "packed", "loop"])
@pytest.mark.parametrize("convolution", ["depthwise", "full", None])
def test_a_front_shows_the_last_inputs_and_the_time(convolution: str | None, form: str) -> None:
    """The core behind it is replaced by what it reads."""
    front, x = make("lstm", convolution=convolution, clock=2, form=form), sequence()
    starts = NONE.clone()
    starts[3, 1] = starts[60, 0] = starts[62, 0] = True
    read: list[Tensor] = []
    front.core.register_forward_pre_hook(lambda core, arguments: read.append(arguments[0]))
    front(x, front.initial_state(B), starts)
    rate = float(front.rate.detach().exp())
    for b, begins in enumerate(([0, 60, 62], [0, 3])):
        for t in range(T):
            begin = max(begin for begin in begins if begin <= t)
            a = t - begin
            lags = [x[t - j, b] if j <= a else torch.zeros(D, dtype=x.dtype) for j in range(4)]
            if convolution == "full":
                seen = torch.cat(lags)
            elif convolution == "depthwise":
                seen = sum((front.kernel[j] * lags[j] for j in range(4)), torch.zeros(D, dtype=x.dtype))
            else:
                seen = x[t, b]
            hands = [math.sin(math.pi * a / 2), math.cos(math.pi * a), math.cos(math.pi * a / 2)]
            clock = torch.tensor([*hands, math.exp(-rate * a)], dtype=x.dtype)
            torch.testing.assert_close(read[0][t, b], torch.cat((seen, clock)), rtol=1e-10, atol=2e-7)  # a float32 dial


@pytest.mark.parametrize("form", ["compiled", "packed", "loop"])
def test_a_stack_moves_its_cells(form: str) -> None:
    core, x = make("stack", size=5, depth=3, width=2, sharpness=1.5, form=form), sequence(9, 1, D)
    core.recall.weight.data.normal_()
    core.move.weight.data.normal_()
    zero = torch.zeros(2, dtype=torch.float64)
    h, stack = torch.zeros(5, dtype=torch.float64), [zero] * 3
    for t in range(9):
        h = torch.tanh(core.read(x[t, 0]) + core.recall(torch.cat((h, stack[0]))))
        logits, value = core.move(h).split((3, 2))
        push, keep, pop = (1.5 * logits).softmax(0)
        above, below = [torch.tanh(value), *stack[:-1]], [*stack[1:], zero]
        stack = [push * a + keep * s + pop * b for a, s, b in zip(above, stack, below, strict=True)]
    torch.testing.assert_close(final(core, x)[0], h + core.out(stack[0]), **EXACT)


def test_a_stack_gives_back_what_was_pushed_last_first() -> None:
    core = make("stack", size=7, depth=4, width=2, sharpness=1.0)
    for parameter in core.parameters():
        nn.init.zeros_(parameter)
    # Units 0 and 1 are the value, units 2 and 3 push and pop; the output repeats the top in units 4 and 5.
    nn.init.eye_(core.read.weight)
    core.read.weight.data *= 20
    core.move.weight.data[0, 2] = core.move.weight.data[2, 3] = 100
    core.move.weight.data[3, 0] = core.move.weight.data[4, 1] = 20
    core.out.weight.data[4, 0] = core.out.weight.data[5, 1] = 1
    values = torch.tensor([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    push, pop, keep = (torch.tensor(pair, dtype=torch.float64) for pair in ([1.0, 0.0], [0.0, 1.0], [0.0, 0.0]))
    nothing = torch.zeros(2, dtype=torch.float64)
    moves = [*((value, push) for value in values), (nothing, keep), *[(nothing, pop)] * 4]
    x = torch.stack([torch.cat(parts) for parts in moves])[:, None]
    core.move.bias.data[1] = 50
    top = core(x, core.initial_state(1), NONE[: len(x), :1])[0][:, 0, 4:6]
    expected = torch.stack([*values, values[2], values[1], values[0], nothing, nothing])
    torch.testing.assert_close(top, expected, rtol=0, atol=1e-6)
