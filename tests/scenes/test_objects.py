"""Analytic sensing against exact area averages on a fine grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foveal_envs import FovealVectorEnv
from foveal_envs.retinas import make_retina
from foveal_envs.scenes.objects import LINE, OBJECT, SHAPES, add_object, random_polygon, set_polygon, shape_table

RETINA = make_retina("rings")
GREY = 255.0


def inside(part: np.void, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points of the object's frame lie in a part, straight from its vertices."""
    if part["edges"] == 0:
        return (x - part["x"]) ** 2 + (y - part["y"]) ** 2 <= part["radius"] ** 2
    within = np.ones(x.shape, bool)
    for i in range(part["edges"]):
        j = (i + 1) % part["edges"]
        ax, ay, bx, by = (part[name][k] for k in (i, j) for name in ("vertex_x", "vertex_y"))
        within &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    return within


def exact_shares(thing: np.void, pose: np.ndarray, grid: int = 80) -> np.ndarray:
    """Area averages by brute force: every field as ``grid`` x ``grid`` points."""
    axis = (np.arange(grid) + 0.5) / grid * 2 - 1
    u, v = np.meshgrid(axis, axis)
    u, v = u[u**2 + v**2 <= 1], v[u**2 + v**2 <= 1]
    c, s = math.cos(pose[2]), math.sin(pose[2])
    co, so = math.cos(thing["angle"]), math.sin(thing["angle"])
    shares = []
    for field_u, field_v, radius in RETINA.fields[:3, : len(RETINA)].T:
        fu, fv = field_u + radius * u, field_v + radius * v
        x, y = pose[0] + c * fu - s * fv - thing["x"], pose[1] + s * fu + c * fv - thing["y"]
        ox, oy = co * x + so * y, co * y - so * x
        shares.append(sum(p["sign"] * inside(p, ox, oy) for p in thing["part"][: thing["parts"]]).mean())
    return np.array(shares)


def worlds_and_glimpses(shape: str, **keywords: object) -> tuple[np.ndarray, np.ndarray]:
    """Records of 40 random worlds and what the native environment senses in them."""
    env = FovealVectorEnv("TargetDetection", 40, shape=shape, rotate=True, **keywords)
    observation, _ = env.reset(seed=0)
    return env.get_state()["worlds"], observation["observation"]


@pytest.mark.parametrize("shape", SHAPES)
def test_sensing_equals_area_averages(shape: str) -> None:
    worlds, glimpses = worlds_and_glimpses(shape)
    errors = [seen - exact_shares(w["objects"][0], w["gaze"]) for w, seen in zip(worlds, glimpses, strict=True)]
    rmse = GREY * math.sqrt(np.square(errors).mean())
    assert rmse < 0.5, f"{rmse:.3f} grey levels"
    assert np.abs(errors).max() < 0.02


def test_colours_mix_with_the_background() -> None:
    ranges = {"contrast": [0.2, 0.9], "background": [0.1, 0.5]}
    worlds, glimpses = worlds_and_glimpses("L", channels=3, randomise=ranges)
    for w, seen in zip(worlds, glimpses, strict=True):
        thing = w["objects"][0]
        share = exact_shares(thing, w["gaze"])[:, None]
        expected = w["background"] + share * (thing["value"] - w["background"])
        np.testing.assert_allclose(seen.reshape(-1, 3), expected, atol=0.02)


def test_a_far_object_is_not_sensed() -> None:
    worlds, glimpses = worlds_and_glimpses("plus", start="anywhere")
    gap = np.hypot(*(worlds["gaze"] - worlds["wanted"])[:, :2].T)
    far = gap > RETINA.reach + 60.0
    assert far.sum() > 10
    assert (glimpses[far] == 0.0).all()
    assert (glimpses[gap < 60.0].max(1) > 0.0).all()


def test_random_polygons_lie_in_their_circle_and_differ() -> None:
    areas = set()
    for key in range(50):
        thing = np.zeros(1, OBJECT)[0]
        random_polygon(thing, np.uint64(key), 60.0, key % 2 == 1)
        body = thing["part"][0]
        radii = np.hypot(body["vertex_x"], body["vertex_y"])[: body["edges"]]
        np.testing.assert_allclose(radii, 60.0, rtol=1e-5)
        assert (thing["parts"] > 1) == (key % 2 == 1)
        areas.add(round(float(body["vertex_x"][0]), 3))
    assert len(areas) > 45


def clipped_area(corners: np.ndarray, part: np.void) -> float:
    """Area of a polygon (n, 2) inside a convex part: half-plane after half-plane (Sutherland & Hodgman)."""
    for i in range(part["edges"]):
        normal = np.array([part["normal_x"][i], part["normal_y"][i]], np.float64)
        away = corners @ normal - np.float64(part["offset"][i])
        following, ahead = np.roll(corners, -1, axis=0), np.roll(away, -1)
        kept = []
        for here, there, a, b in zip(corners, following, away, ahead, strict=True):
            kept += [here] if a <= 0.0 else []
            kept += [here + (there - here) * (a / (a - b))] if (a <= 0.0) != (b <= 0.0) else []
        if len(kept) < 3:
            return 0.0
        corners = np.array(kept)
    x, y = corners.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


@pytest.mark.parametrize(("squeeze", "rmse", "largest"), [(1.0, 0.25, 2.5), (0.25, 1.5, 10.0), (0.08, 2.5, 20.0)])
def test_shares_of_convex_polygons(squeeze: float, rmse: float, largest: float) -> None:
    """Grey levels against exact areas; flat polygons too, whose corners are very sharp or nearly straight."""
    turn = 2.0 * np.pi * np.arange(1024) / 1024
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    whole = 0.5 * len(turn) * math.sin(turn[1])
    scratch = np.zeros((LINE, RETINA.fields.shape[1]), np.float32)
    rng = np.random.default_rng(0)
    errors = []
    for key in range(10):
        thing = np.zeros(1, OBJECT)[0]
        random_polygon(thing, np.uint64(key), 60.0, False)
        part = thing["part"][0]
        part["vertex_y"] *= np.float32(squeeze)
        set_polygon(part, 1.0, part["edges"])
        x, y = rng.uniform(-60.0, 60.0, 2) * [1.0, squeeze]
        shares = np.zeros(RETINA.fields.shape[1], np.float32)
        add_object(thing, np.float32(1.0), x, y, 0.3, RETINA.fields, RETINA.reach, scratch, shares)
        c, s = math.cos(0.3), math.sin(0.3)
        for share, (u, v, r) in zip(shares, RETINA.fields[:3, : len(RETINA)].T, strict=False):
            centre = np.array([x + c * u - s * v, y + s * u + c * v])
            errors.append(GREY * (share - clipped_area(centre + r * circle, part) / (whole * r * r)))
    assert math.sqrt(np.square(errors).mean()) < rmse
    assert np.abs(errors).max() < largest


@pytest.mark.parametrize(("shape", "angles"), [("square", [90.0] * 4), ("triangle", [50.0, 65.0, 65.0])])
def test_a_field_on_a_corner_sees_the_corner(shape: str, angles: list[float]) -> None:
    """Its centre on the very corner of two edges."""
    thing = shape_table(60.0)[SHAPES.index(shape)]
    scratch = np.zeros((LINE, RETINA.fields.shape[1]), np.float32)
    u, v = RETINA.table[0, :2].astype(float)
    for i, angle in enumerate(angles):
        shares = np.zeros(RETINA.fields.shape[1], np.float32)
        x, y = float(thing["part"][0]["vertex_x"][i]) - u, float(thing["part"][0]["vertex_y"][i]) - v
        add_object(thing, np.float32(1.0), x, y, 0.0, RETINA.fields, RETINA.reach, scratch, shares)
        assert shares[0] == pytest.approx(angle / 360.0, abs=0.005)
