"""What the stack is for: brackets, nested deeper than in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.cores import make_core
from foveal_envs.tasks.memory.formal_language import FormalLanguage


def brackets(rng: np.random.Generator, length: int, depth: int, columns: int) -> tuple[Tensor, Tensor]:
    """Strings of two kinds of brackets, one-hot (T, B, 4), and what may be closed (T, B), -1 where nothing is asked."""
    keys = rng.integers(2**63, size=columns, dtype=np.uint64)
    symbols, answers = FormalLanguage("dyck", length=length, depth=depth).strings(keys)
    return F.one_hot(torch.from_numpy(symbols), 4).float(), torch.from_numpy(answers)


@pytest.mark.slow
def test_a_stack_learned_on_shallow_brackets_answers_deep_ones() -> None:
    torch.manual_seed(0)
    core, head = make_core("stack", 4, depth=48), nn.Linear(64, 3)
    parameters, rng, updates = [*core.parameters(), *head.parameters()], np.random.default_rng(0), 300
    optimizer = torch.optim.Adam(parameters, 5e-3)

    def answer(x: Tensor) -> Tensor:
        starts = torch.zeros(x.shape[:2], dtype=torch.bool)
        logits: Tensor = head(core(x, core.initial_state(x.shape[1]), starts)[0])
        return logits

    for update in range(updates):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - update / updates)
        x, answers = brackets(rng, 64, 6, 32)
        loss = F.cross_entropy(answer(x).flatten(0, 1), answers.flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    with torch.no_grad():
        for depth in (20, 40):
            x, answers = brackets(np.random.default_rng(1), 256, depth, 64)
            asked = answers >= 0
            assert (answer(x).argmax(-1) == answers)[asked].float().mean() > 0.97, depth
