"""What ``task=`` accepts: tasks, their classes, and the names that ``register`` was given; nothing else is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import foveal_envs
from foveal_envs import FovealEnv, FovealVectorEnv, Task, register
from foveal_envs.registration import OWN, make_task

from .conftest import IDS

ROOT = Path(__file__).parent.parent
ID = "Foveal/TargetDetection-v0"


class Waiting(Task):
    """Nothing happens for one step."""

    world = np.dtype([("moves", np.int64)])
    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        worlds["moves"][rows] = 0

    def step(self, worlds: Any, active: Any, actions: Any, rewards: Any, terminated: Any) -> None:
        terminated[active] = True

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Any) -> None:
        observation[rows] = 0.0


TWINS = [id for id in gym.registry if id.startswith("Foveal/") and id not in IDS]


def flattened(space: gym.Space[Any], obs: Any) -> np.ndarray:
    """An observation, or a batch of them, as its flat twin shows it."""
    if isinstance(space, gym.spaces.Discrete):
        return np.eye(space.n, dtype=np.float32)[obs]
    return np.concatenate([obs["observation"], obs["desired_goal"]], -1)


def test_every_id_of_another_space_has_a_flat_twin() -> None:
    other = [id for id in IDS if not isinstance(gym.make(id).observation_space, gym.spaces.Box)]
    assert sorted(TWINS) == sorted(id.replace("-v0", "-flat-v0") for id in other)
    assert len(TWINS) == 11
    assert not set(TWINS) & set(foveal_envs.IDS)


@pytest.mark.parametrize("twin", TWINS)
def test_a_flat_twin_is_the_same_world(twin: str) -> None:
    id = twin.replace("-flat", "")
    assert gym.spec(twin).reward_threshold == gym.spec(id).reward_threshold
    one, other = gym.make(id), gym.make(twin)
    check_env(other.unwrapped, skip_render_check=True)
    assert isinstance(other.observation_space, gym.spaces.Box)
    assert len(other.observation_space.shape) == 1
    lanes = [gym.make_vec(name, 3, autoreset_mode="next_step") for name in (id, twin)]
    for world, twin_world in ((one, other), lanes):
        (obs, _), (flat, _) = world.reset(seed=3), twin_world.reset(seed=3)
        world.action_space.seed(0)
        for _ in range(4):
            np.testing.assert_array_equal(flattened(one.observation_space, obs), flat)
            action = world.action_space.sample()
            (obs, *outcome, _), (flat, *same, _) = world.step(action), twin_world.step(action)
            for first, second in zip(outcome, same, strict=True):
                np.testing.assert_array_equal(first, second)


@pytest.fixture
def ids() -> Iterator[list[str]]:
    """Ids that a test registers, forgotten after it."""
    mine: list[str] = []
    yield mine
    for id in mine:
        gym.registry.pop(id)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``trap`` that can be imported and then leaves this mark."""
    mark = tmp_path / "mark"
    (tmp_path / "trap.py").write_text(f"open({str(mark)!r}, 'w')\nTrap = print\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return mark


@pytest.mark.parametrize("id", IDS)
def test_our_specs_hold_a_name(id: str) -> None:
    name = id.removeprefix("Foveal/").removesuffix("-v0")
    assert gym.spec(id).kwargs == {"task": name}
    assert type(gym.make(id).unwrapped.task).__name__ == name
    assert OWN[name].endswith(f":{name}")


@pytest.mark.parametrize(
    "task",
    [
        "trap:Trap",
        "trap",
        "subprocess:Popen",
        "os:system",
        "foveal_envs.task:Task",
        "TargetDetection ",
        "",
        ":",
        "a:b:c",
    ],
)
def test_other_strings_are_refused_and_nothing_is_imported(task: str, trap: Path) -> None:
    spec = json.loads(gym.spec(ID).to_json())
    spec["kwargs"] = {"task": task, "args": ["touch", str(trap)]}
    for make in (
        lambda: FovealEnv(task),
        lambda: FovealVectorEnv(task, 2),
        lambda: gym.make(ID, task=task, args=["touch", str(trap)]),
        lambda: gym.make_vec(ID, 2, vectorization_mode="vector_entry_point", task=task, args=["touch", str(trap)]),
        lambda: gym.make(EnvSpec.from_json(json.dumps(spec))),
    ):
        with pytest.raises(
            ValueError, match=r"a Task, a subclass of Task, or a name that foveal_envs\.register"
        ) as error:
            make()
        assert "\n" not in str(error.value)
    assert not trap.exists()
    assert "trap" not in sys.modules


@pytest.mark.parametrize("task", [None, 3, dict, object(), print, ["TargetDetection"]])
def test_what_is_no_task_is_refused(task: Any) -> None:
    for make in (FovealEnv, FovealVectorEnv, lambda task: register("My/None-v0", task)):
        with pytest.raises(TypeError, match=r"task must be .*subclass of Task"):
            make(task)
    assert "My/None-v0" not in gym.registry


def test_a_registered_path_to_something_else_is_refused(ids: list[str]) -> None:
    ids.append("My/Decoder-v0")
    register("My/Decoder-v0", "json:JSONDecoder")
    with pytest.raises(TypeError, match="registered name of one; got 'json:JSONDecoder'"):
        gym.make("My/Decoder-v0")


def test_old_specs_are_told_the_new_name() -> None:
    old = "foveal_envs.tasks.detection:TargetDetection"
    for make in (lambda: gym.make(ID, task=old), lambda: register("My/Old-v0", old)):
        with pytest.raises(ValueError, match=f"'{old}' is now called 'TargetDetection'"):
            make()


def test_a_class_can_be_registered(ids: list[str]) -> None:
    ids.append("My/Waiting-v0")
    with pytest.raises(ValueError, match=r"got 'tests\.test_registration:Waiting'"):
        FovealEnv(f"{__name__}:Waiting")
    register("My/Waiting-v0", Waiting, max_episode_steps=5)
    assert gym.spec("My/Waiting-v0").kwargs == {"task": f"{__name__}:Waiting"}
    spec = EnvSpec.from_json(gym.make("My/Waiting-v0").spec.to_json())
    for env in (gym.make(spec), FovealEnv(f"{__name__}:Waiting"), FovealEnv(Waiting), FovealEnv(Waiting())):
        assert type(env.unwrapped.task) is Waiting
    assert type(gym.make_vec("My/Waiting-v0", 2, vectorization_mode="vector_entry_point").unwrapped.task) is Waiting


def test_our_own_class_is_registered_under_its_name(ids: list[str]) -> None:
    ids.append("My/Disc-v0")
    register("My/Disc-v0", type(make_task("TargetDetection", {})), shape="disc")
    assert gym.spec("My/Disc-v0").kwargs == {"task": "TargetDetection", "shape": "disc"}


def test_a_class_must_be_found_under_its_name() -> None:
    local = type("Local", (Waiting,), {})
    other = type("Waiting", (Waiting,), {})
    for task in (local, other):
        with pytest.raises(ValueError, match=r":(Local|Waiting) is not .* at the top of its module"):
            register("My/Local-v0", task)
    for path in ("my_tasks", "my_tasks:", ":Task", "Nothing", ""):
        with pytest.raises(ValueError, match="subclass of Task, 'module:Class', or one of TargetDetection"):
            register("My/Local-v0", path)
    assert "My/Local-v0" not in gym.registry


def test_a_worker_may_make_what_it_is_handed() -> None:
    """It unpickles a spec without calling register, as the workers of ``vectorization_mode="async"`` do."""
    user = ROOT / "tests" / "user"
    make = "import sys, pickle, gymnasium; sys.path.append(sys.argv[1]); "
    worker = make + "print(type(gymnasium.make(pickle.load(sys.stdin.buffer)).unwrapped.task).__name__)"
    parent = make + (
        "gymnasium.make('point_navigation:My/PointNavigation-v0');"
        "sys.stdout.buffer.write(pickle.dumps(gymnasium.spec('My/PointNavigation-v0')))"
    )
    pickled = subprocess.run([sys.executable, "-c", parent, user], cwd=ROOT, capture_output=True, check=True).stdout
    assert b"point_navigation:PointNavigation" in pickled
    made = subprocess.run(
        [sys.executable, "-c", worker, user], cwd=ROOT, capture_output=True, input=pickled, check=True
    )
    assert made.stdout.strip() == b"PointNavigation"


def test_an_unknown_keyword_is_refused_in_pythons_words() -> None:
    for make in (FovealEnv, FovealVectorEnv):
        with pytest.raises(TypeError, match=r"^TargetDetection\(\) got an unexpected keyword argument 'frameskip'; it"):
            make("TargetDetection", frameskip=4)
    with pytest.raises(TypeError, match=r"already configured; it takes no \['moves'\]"):
        FovealEnv(make_task("TargetDetection", {}), moves=3)
