from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from agents.common.losses import descend
from agents.common.vec_env import NO_INFO
from agents.common.workers import _join, _wait_for, all_go_on, average


def _exchange(rank: int, folder: Path) -> None:
    _join(rank, 2, folder)
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    bias = torch.nn.Parameter(torch.zeros(()))
    loss = (rank + 1.0) * weight.sum() + 10.0 * rank * bias
    descend(torch.optim.SGD([weight, bias], 1.0), loss)
    torch.save((weight, bias, all_go_on(True), all_go_on(rank == 0)), folder / str(rank))


def test_gradients_are_averaged_and_one_can_stop_all(tmp_path) -> None:
    multiprocessing.spawn(_exchange, (tmp_path,), nprocs=2)
    for rank in range(2):
        weight, bias, both, first = torch.load(tmp_path / str(rank), weights_only=False)
        assert torch.equal(weight, torch.full((2, 3), -1.5))
        assert bias == -5.0
        assert (both, first) == (True, False)


def test_alone_nothing_is_exchanged() -> None:
    tensors = [torch.ones(2)]
    assert average(tensors)[0] is tensors[0]
    assert all_go_on(True)
    assert not all_go_on(False)


def test_the_empty_info_stays_one_object() -> None:
    assert pickle.loads(pickle.dumps(NO_INFO)) is NO_INFO


UNGUARDED = """
from agents import RecurrentPPO, make_sb3  # its net is larger than a pipe
env = make_sb3("CartPole-v1", 2, seed=0)
RecurrentPPO("RecurrentPolicy", env, n_steps=8, core="elman", core_kwargs={"size": 256}, workers=2).learn(32)
"""


@pytest.mark.slow
def test_a_script_that_trains_when_imported_is_told_so(tmp_path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    command = [sys.executable, str(tmp_path / "script.py")]
    root = Path(__file__).parents[3]
    out = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, timeout=120
    )
    assert out.returncode == 1
    assert b"must do so under `if __name__ == '__main__':`" in out.stderr.splitlines()[-1]


def test_a_worker_that_ends_early_is_noticed(tmp_path) -> None:
    process = torch.multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    with pytest.raises(RuntimeError, match="a worker ended before training began"):
        _wait_for([process], tmp_path)
