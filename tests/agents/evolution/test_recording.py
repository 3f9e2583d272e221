"""Random play is recorded as it was, in every autoreset mode, and every step is learned from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents import random_play
from tests.agents.worlds import PointVectorEnv

from .dodge import SIDE, dodge


def places(frames: np.ndarray) -> np.ndarray:
    """Where the player is, in pixels, the mean of the green ones."""
    green = (frames[:, -2] == (30, 220, 60)).all(-1)
    return (green * np.arange(SIDE)).sum(1) / green.sum(1)


@pytest.mark.parametrize("mode", ["same_step", "next_step", "disabled"])
def test_frames_actions_and_ends_belong_together(mode):
    recording = random_play(dodge(6, mode, 25), 1_000, seed=0)
    assert len(recording) == 1_002  # 6 lanes of 167
    assert recording.frames.shape == (1_002, SIDE, SIDE, 3)
    assert recording.frames.dtype == np.uint8
    starts = np.flatnonzero(recording.episode_start)
    assert set(range(0, 1_002, 167)) <= set(starts.tolist())
    lengths = np.diff(starts, append=1_002)
    assert lengths.max() == 26  # the frames of 25 steps
    followed = ~np.roll(recording.episode_start, -1)
    followed[-1] = False
    moved = np.diff(places(recording.frames), append=0)
    inside = followed & (np.abs(places(recording.frames) - SIDE / 2) < SIDE / 2 - 6)
    assert np.abs(moved - 1.5 * (recording.actions - 1.0))[inside].max() <= 0.5
    assert (recording.rewards == followed).all()
    assert not recording.terminated[~followed].any()
    ends = np.flatnonzero(recording.terminated)
    assert len(ends) > 10
    assert recording.episode_start[np.minimum(ends + 2, 1_001)][ends + 2 < 1_002].all()
    top = (recording.frames[starts, 0] == (255, 60, 20)).all(-1).any(-1)
    assert top.all()  # every episode begins with a ball above
    again = random_play(dodge(6, mode, 25), 1_000, seed=0)
    assert all(np.array_equal(getattr(again, name), getattr(recording, name)) for name in ("frames", "actions"))


def test_actions_last_for_a_random_number_of_steps():
    for longest, mean in ((1, 1.5), (7, 6.0)):
        recording = random_play(dodge(8, steps=None), 4_000, longest_repeat=longest, seed=0)
        changes = (np.diff(recording.actions) != 0).mean()
        assert 1 / changes == pytest.approx(mean, rel=0.2)  # one action in three is drawn twice


def test_codes_are_those_of_the_frames(learned):
    coded = learned.coded
    mean, log_variance = learned.vae.encode(learned.recording.frames[30:40])
    torch.testing.assert_close(coded.mean[30:40], mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(coded.log_variance[30:40], log_variance, atol=1e-5, rtol=0)
    np.testing.assert_array_equal(coded.vectors.argmax(1), learned.recording.actions)


def test_streams_hold_every_step_once_and_episodes_whole(learned):
    coded = learned.coded
    rows, counted = coded.streams(7, torch.Generator().manual_seed(0))
    assert rows.shape == counted.shape == (len(coded) // 7, 7)
    assert rows.unique().numel() == rows.numel()
    followed = counted[:-1] & (rows[1:] != rows[:-1] + 1)
    assert not followed.any()
    last = torch.roll(coded.episode_start, -1)
    last[-1] = True
    torch.testing.assert_close(counted, ~last[rows])
    codes, following = coded.drawn(rows[:9], torch.Generator().manual_seed(0))
    assert torch.equal(codes[1:][counted[:8]], following[:-1][counted[:8]])
    far = (codes - coded.mean[rows[:9]]) / (coded.log_variance[rows[:9]] / 2).exp()
    assert far.std() == pytest.approx(1, abs=0.1)


def test_impossible_settings_are_named():
    with pytest.raises(ValueError, match="records images"):
        random_play(PointVectorEnv(2), 10)
    for wrong in ({"frames": 0}, {"frames": 5, "longest_repeat": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            random_play(dodge(2), **wrong)
