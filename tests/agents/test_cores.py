from __future__ import annotations

import pytest
import torch

from agents import CORES, FeedForward
from agents.cores import make_core

from .worlds import Elman


@pytest.mark.parametrize("core_class", [*CORES.values(), Elman])
def test_forward_equals_the_loop_of_steps_with_resets_inside(core_class):
    torch.manual_seed(0)
    core = core_class(3).double()
    starts = torch.rand(7, 4) < 0.3
    grads = []
    for forward in (core.forward, lambda *args: super(core_class, core).forward(*args)):
        x = torch.linspace(-1, 1, 7 * 4 * 3, dtype=torch.float64).view(7, 4, 3).requires_grad_()
        y, state = forward(x, core.initial_state(4), starts)
        loss = (y * torch.arange(y.shape[-1])).sum() + sum(part.square().sum() for part in state)
        grads.append((y, *state, *torch.autograd.grad(loss, [x, *core.parameters()])))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_an_episode_start_forgets_the_past():
    core = Elman(3)
    x, starts = torch.randn(6, 2, 3), torch.zeros(6, 2, dtype=torch.bool)
    starts[4] = True
    whole, _ = core(x, core.initial_state(2), starts)
    tail, _ = core(x[4:], core.initial_state(2), starts[4:])
    torch.testing.assert_close(whole[4:], tail)
    assert not torch.allclose(core(x, core.initial_state(2), torch.zeros_like(starts))[0][4:], tail)


def test_bad_cores_are_named():
    with pytest.raises(ValueError, match="feedforward"):
        make_core("lstm2", 3)
    with pytest.raises(ValueError, match="silu"):
        FeedForward(3, activation="swish")
    with pytest.raises(ValueError, match="width"):
        FeedForward(3, hidden=())
