"""Registration: the names of tasks, the one call that serves gym.make and gym.make_vec, and tasks made from names."""

from __future__ import annotations

import importlib
import inspect
from operator import attrgetter
from typing import Any

import gymnasium as gym

from .checks import shown
from .task import Task

_MODULES = {
    "TargetDetection": "looking.target_detection",
    "GoalDetection": "looking.goal_detection",
    "TargetTracking": "looking.target_tracking",
    "GridSearch": "looking.grid_search",
    "VisualSearch": "looking.visual_search",
    "ImageSearch": "looking.image_search",
    "GlimpseClassification": "looking.glimpse_classification",
    "SameDifferent": "looking.same_different",
    "FlipFlop": "memory.flip_flop",
    "Parking": "memory.parking",
    "AssociativeRecall": "memory.associative_recall",
    "Catch": "memory.catch",
    "FormalLanguage": "memory.formal_language",
    "Pole": "control.pole",
    "DoublePole": "control.double_pole",
    "TakeCover": "control.take_cover",
    "FourRooms": "navigation.four_rooms",
    "CuriosityGrid": "navigation.curiosity_grid",
    "HQMaze": "navigation.hq_maze",
    "KeyDoorMaze": "navigation.key_door_maze",
    "SwampNavigation": "navigation.swamp_navigation",
    "MazeNavigation": "navigation.maze_navigation",
}
# Our own tasks have bare names in specs, which survive moves of modules.
OWN = {name: f"foveal_envs.tasks.{module}:{name}" for name, module in _MODULES.items()}
_REGISTERED: set[str] = set()  # every "module:Class" that ``register`` was given


def register(
    id: str,
    task: str | type[Task],
    max_episode_steps: int | None = None,
    reward_threshold: float | None = None,
    **keywords: Any,
) -> None:
    """Register a task for ``gym.make`` and ``gym.make_vec``.

    Args:
        id: as ``"Foveal/Name-v0"``.
        task: a subclass of Task that stands at the top of a module; or ``"module:Class"``, which is imported when the
            first environment is made; or the name of one of our tasks, as ``"TargetDetection"``.
        max_episode_steps: safety limit after which episodes are truncated; None: no limit.
        reward_threshold: mean return from which the task counts as solved; None: not stated.
        **keywords: JSON-able keywords of the task.

    Raises:
        ValueError: a string of another form, or a class that its module does not hold under its name.
        TypeError: anything else.
    """
    gym.register(
        id=id,
        entry_point="foveal_envs.env:FovealEnv",
        vector_entry_point="foveal_envs.vector_env:FovealVectorEnv",
        max_episode_steps=max_episode_steps,
        reward_threshold=reward_threshold,
        kwargs={"task": _name_of(task), **keywords},
    )


def make_task(task: str | type[Task] | Task, keywords: dict[str, Any]) -> Task:
    """A task from a registered name, a Task class or a Task, with its keywords. No other string is ever imported.

    Raises:
        ValueError: a name that ``register`` was not given in this process.
        TypeError: no task, or an unknown keyword; the message lists what is accepted.
    """
    if isinstance(task, Task):
        if keywords:
            raise TypeError(f"a Task object is already configured; it takes no {sorted(keywords)}")
        return task
    kind = _find(task) if isinstance(task, str) else task
    if not _is_task(kind):
        raise TypeError(f"task must be a Task, a subclass of Task, or the registered name of one; got {shown(task)}")
    allowed = inspect.signature(kind).parameters
    for keyword in keywords:
        if keyword not in allowed:  # in Python's words, which libraries look for
            raise TypeError(
                f"{kind.__name__}() got an unexpected keyword argument {keyword!r}; it takes {', '.join(allowed)}"
            )
    return kind(**keywords)


class _Path(str):
    """The ``"module:Class"`` of a registered task in a spec. Whoever unpickles it may import it, too: a worker that is
    handed an environment to make has not called ``register`` itself.
    """

    __slots__ = ()

    def __new__(cls, path: str) -> _Path:
        _REGISTERED.add(path)
        return super().__new__(cls, path)

    def __reduce__(self) -> tuple[type[_Path], tuple[str]]:
        return _Path, (str(self),)


def _name_of(task: str | type[Task]) -> str:
    """What stands for a task in specs."""
    if isinstance(task, str):
        _require_new_name(task)
        module, _, name = task.partition(":")
        if task not in OWN and not (module and name):
            raise ValueError(
                f"task must be a subclass of Task, 'module:Class', or one of {', '.join(OWN)}; got {task!r}"
            )
        return task if task in OWN else _Path(task)
    if not _is_task(task):
        raise TypeError(f"task must be a subclass of Task or 'module:Class'; got {task!r}")
    path = f"{task.__module__}:{task.__qualname__}"
    if OWN.get(task.__name__) == path:
        return task.__name__
    try:
        known = _load(path) is task
    except (AttributeError, ImportError):
        known = False
    if not known:
        raise ValueError(f"{path} is not {task!r}: give the class a name of its own at the top of its module")
    return _Path(path)


def _find(name: str) -> Any:
    """What a registered name stands for."""
    if name in OWN:
        return _load(OWN[name])
    if name in _REGISTERED:
        return _load(name)
    _require_new_name(name)
    raise ValueError(
        "task must be a Task, a subclass of Task, or a name that foveal_envs.register was given in this process; "
        f"got {name!r}; import the module that registers it first"
    )


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return attrgetter(name)(importlib.import_module(module))


def _is_task(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Task)


def _require_new_name(name: str) -> None:
    """Refuse a path to one of our own tasks, as older specs have it."""
    module, _, own = name.partition(":")
    if module.startswith("foveal_envs.") and own in OWN:
        raise ValueError(f"task {name!r} is now called {own!r}")
