"""What is kept of the infos of a rollout, of any package's environments."""

from __future__ import annotations

import numpy as np

from scripts.shared.rollouts import Move


def test_measures_are_numbers_one_a_lane() -> None:
    infos = {
        "distance": np.array([1.0, 2.0]),
        "_distance": np.array([True, True]),
        "is_success": np.array([False, True]),
        "gaze": np.zeros((2, 2)),
        "name": np.array(["a", "b"], object),
        "nested": {"x": np.zeros(2)},
        "episode_key": np.zeros(2, np.uint64),
    }
    running = np.array([True, False])
    move = Move(1, None, None, np.zeros(2), *np.zeros((2, 2), bool), running, infos)
    kept = move.measures({"distance": np.array([5.0, 6.0])})
    assert set(kept) == {"distance", "is_success"}
    np.testing.assert_array_equal(kept["distance"], [1.0, 6.0])
