from __future__ import annotations

import numpy as np
import torch

from agents.common.sequences import Replay, exchange_goals, true_next


def test_windows_are_successive_steps_of_one_column_also_across_the_seam():
    replay = Replay({"time": 1, "column": 1}, columns=3, capacity=10)
    for time in range(24):
        replay.add(time=torch.full((3, 1), float(time)), column=torch.arange(3.0)[:, None])
    windows = replay.windows(4, 500)
    assert windows["time"].min() == 14
    assert windows["time"].max() == 23
    assert (windows["time"][1:] - windows["time"][:-1] == 1).all()
    assert (windows["column"] == windows["column"][0]).all()
    assert set(windows["time"][0].flatten().tolist()) == set(range(14, 21))
    assert replay.windows(2, 100, newest=3)["time"].min() == 21
    assert replay.newest(3)["time"][:, 0, 0].tolist() == [21, 22, 23]
    assert [row["time"][0, 0, 0].item() for row in replay.newest(2).rows()] == [22, 23]


def test_true_next_puts_back_what_autoreset_took_away():
    obs = {"a": np.zeros((3, 2)), "b": np.zeros((3, 1))}
    infos = [
        {},
        {"terminal_observation": {"a": np.ones(2), "b": np.ones(1)}, "TimeLimit.truncated": True},
        {"terminal_observation": {"a": np.full(2, 2.0), "b": np.full(1, 2.0)}},
    ]
    real, terminated = true_next(obs, np.array([False, True, True]), infos)
    assert real["a"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert real["b"].tolist() == [[0], [1], [2]]
    assert obs["a"].max() == 0
    assert terminated.tolist() == [False, False, True]


def test_exchanged_goals_are_those_of_others():
    desired = torch.arange(8.0)[None, :, None].repeat(2, 1, 1)
    exchange_goals(desired, 0.5)
    assert torch.equal(desired[:, 4:], torch.arange(4.0, 8.0)[None, :, None].repeat(2, 1, 1))
    assert set(desired[0, :4, 0].tolist()) <= set(range(8))
    assert torch.equal(desired[0], desired[1])
    before = desired.clone()
    exchange_goals(desired, 0.0)
    assert torch.equal(desired, before)
