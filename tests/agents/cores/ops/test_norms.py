"""Compiled norms equal PyTorch's, values and gradients, at every width."""

from __future__ import annotations

import pytest
import torch

from agents.cores import make_core
from agents.cores.ops.norms import RMSNorm, unit


@pytest.mark.parametrize("width", [1, 5, 8, 19, 32])
def test_compiled_norms_equal_pytorch(width: int) -> None:
    torch.manual_seed(width)
    x = torch.randn(3, 4, width, dtype=torch.float64, requires_grad=True)
    aim = torch.randn(3, 4, width, dtype=torch.float64)
    norm = RMSNorm(width).double()
    torch.nn.init.normal_(norm.weight)
    results = []
    for compiled in (True, False):
        length, scaled = unit(x, compiled), norm(x, compiled)
        gradients = torch.autograd.grad(((length + scaled) * aim).sum(), (x, norm.weight))
        results.append((length.detach(), scaled.detach(), *gradients))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_compiled_norms_of_slices_and_of_nothing() -> None:
    x = torch.randn(2, 5, 12)[..., 2:10]
    torch.testing.assert_close(unit(x, True), unit(x), rtol=1e-6, atol=1e-6)
    nothing = torch.zeros(2, 8, requires_grad=True)
    unit(nothing, True).sum().backward()
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


def test_other_devices_have_pytorchs() -> None:
    core = make_core("delta", 5, size=8).to("meta")
    start = torch.zeros(3, dtype=torch.bool, device="meta")
    assert core.form == "compiled"
    assert core.step(torch.empty(3, 5, device="meta"), core.initial_state(3), start)[0].shape == (3, 8)
