"""Measures of scanpaths under their names in the literature. A scanpath is (F, 2): places of fixations, in order."""

from __future__ import annotations

import numpy as np


def fixations_to_target(path: np.ndarray, target: np.ndarray, radius: float) -> float:
    """Number of the first fixation within ``radius`` of the target, from 1; inf: none (Najemnik & Geisler 2005)."""
    near = np.hypot(*(path - target).T) <= radius
    return float(near.argmax() + 1) if near.any() else float("inf")


def scanpath_ratio(path: np.ndarray, target: np.ndarray, radius: float) -> float:
    """Way of the gaze until the target is fixated, over the straight way (Henderson, Weeks & Hollingworth 1999).

    1 is a search without detour; inf: the target is never fixated; 1 where the search begins on it.
    """
    count = fixations_to_target(path, target, radius)
    if np.isinf(count):
        return float("inf")
    way = path[: int(count)]
    straight = float(np.hypot(*(way[-1] - way[0])))
    length = float(np.hypot(*np.diff(way, axis=0).T).sum())
    return 1.0 if straight == 0.0 else length / straight


def search_efficiency(path: np.ndarray, target: np.ndarray, radius: float) -> float:
    """1 / scanpath ratio, in [0, 1]; 0 where the target is never fixated."""
    return 1.0 / scanpath_ratio(path, target, radius)


def revisit_rate(path: np.ndarray, radius: float) -> float:
    """Share of fixations that come back to within ``radius`` of an earlier one after having left it (refixations)."""
    near = np.hypot(*(path[:, None] - path[None]).transpose(2, 0, 1)) <= radius
    back = 0
    for i in range(2, len(path)):
        earlier = near[i, :i]
        left = np.flatnonzero(~earlier)
        back += len(left) > 0 and bool(earlier[: left[-1]].any()) and not near[i, i - 1]
    return back / len(path)


def saccade_amplitudes(path: np.ndarray) -> np.ndarray:
    """Lengths (F - 1,) of the jumps."""
    amplitudes: np.ndarray = np.hypot(*np.diff(path, axis=0).T)
    return amplitudes


def multimatch(first: np.ndarray, second: np.ndarray, size: tuple[float, float]) -> dict[str, float]:
    """Similarity of two scanpaths in [0, 1] (Jarodzka, Holmqvist & Nystrom 2010; Dewhurst et al. 2012).

    Saccades are aligned by the cheapest path through the matrix of their differences, without the simplification of
    either; then medians over the aligned pairs are taken. Fixations here last equally long: there is no duration.

    Args:
        first, second: (F, 2) with at least two fixations each.
        size: width and height of the scene.

    Returns:
        ``shape`` of the vectors, ``length``, ``direction``, ``position``.

    Raises:
        ValueError: a scanpath without a saccade.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("multimatch compares scanpaths of at least two fixations")
    a, b = np.diff(first, axis=0), np.diff(second, axis=0)
    pairs = _align(np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1)))
    u, v, p, q = a[pairs[:, 0]], b[pairs[:, 1]], first[pairs[:, 0]], second[pairs[:, 1]]
    diagonal = float(np.hypot(*size))
    turn = np.abs(np.angle(np.exp(1j * (np.arctan2(*u.T[::-1]) - np.arctan2(*v.T[::-1])))))
    return {
        "shape": 1.0 - float(np.median(np.hypot(*(u - v).T))) / (2.0 * diagonal),
        "length": 1.0 - float(np.median(np.abs(np.hypot(*u.T) - np.hypot(*v.T)))) / diagonal,
        "direction": 1.0 - float(np.median(turn)) / np.pi,
        "position": 1.0 - float(np.median(np.hypot(*(p - q).T))) / diagonal,
    }


def _align(cost: np.ndarray) -> np.ndarray:
    """(P, 2) cells of the cheapest way from the upper left to the lower right, by steps right, down or both."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(rows):
        for j in range(columns):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    way = [(rows - 1, columns - 1)]
    while way[-1] != (0, 0):
        i, j = way[-1]
        way.append(min([(i - 1, j - 1), (i - 1, j), (i, j - 1)], key=lambda cell: total[cell[0] + 1, cell[1] + 1]))
    return np.array(way[::-1])
