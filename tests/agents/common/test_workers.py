from __future__ import annotations

import pickle

import torch
from torch import multiprocessing

from agents.common.losses import descend
from agents.common.vec_env import NO_INFO
from agents.common.workers import _join, all_go_on, average


def _exchange(rank: int, meeting: str, results: str) -> None:
    _join(rank, 2, meeting)
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    bias = torch.nn.Parameter(torch.zeros(()))
    loss = (rank + 1.0) * weight.sum() + 10.0 * rank * bias
    descend(torch.optim.SGD([weight, bias], 1.0), loss)
    torch.save((weight, bias, all_go_on(True), all_go_on(rank == 0)), f"{results}/{rank}")


def test_gradients_are_averaged_and_one_can_stop_all(tmp_path) -> None:
    meeting = (tmp_path / "meeting").as_uri()
    multiprocessing.spawn(_exchange, (meeting, str(tmp_path)), nprocs=2)
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
