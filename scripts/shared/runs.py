"""Run folders: what a training run is made of, what it leaves behind, and how one is read again.

A run folder holds ``config.json``, all that is needed to repeat the run (see `Run`); ``about.json``, under what
circumstances it ran and how it ended; ``model.zip``, the agent; ``checkpoints/``, from which it goes on;
``progress.csv`` and ``curve.csv``, the log of the training and the scores on the way; and ``model_error.csv``, how far
a world model can be trusted.
"""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from .command import Refusal
from .environments import find_spec, refusing

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

LARGEST_CONFIG = 1_000_000  # bytes
CONTROLLER = "controller"  # keyword of a HierarchicalController, and the folder of the run that trains it
BEST = "best.zip"
SMALLEST_IMAGE = 36  # pixels each way, for Stable-Baselines3's convolutions


@dataclass
class Run:
    """Configuration of one training run; written to config.json.

    Attributes:
        env_id, env_kwargs: the environment.
        algorithm: name of an agent of this project or of Stable-Baselines3, or "module:Class".
        preset: of WorldModelController; not used by other algorithms.
        agent_kwargs: keywords of the algorithm. ``"lin_3e-4"`` as a value falls linearly to 0;
            ``replay_buffer_class="HerReplayBuffer"`` relabels goals; ``controller`` names a recipe, which is trained
            first, a run folder or a reference.
        steps: environment steps.
        lanes: parallel lanes.
        seed: of nets and exploration; lane 0 is seeded 10,000 (seed + 1).
        train_kwargs: further keywords of the environment during training, as another reward.
        lessons: of ``imitate``, before the ``steps``: ``steps`` of their own, ``teacher`` (a reference, or a run
            folder), ``teacher_kwargs``, ``learning_rate``, ``fade``, and ``agent_kwargs`` that hold during the lessons.
            Empty: none.
    """

    env_id: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "WorldModelController"
    preset: str = "default"
    agent_kwargs: dict[str, Any] = field(default_factory=dict)
    steps: int = 150_000
    lanes: int = 64
    seed: int = 0
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    lessons: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Run:
        """The run of a config.json, which may hold more.

        Raises:
            Refusal: a value of a wrong kind.
        """
        run = cls(**{part.name: config[part.name] for part in fields(cls) if part.name in config})
        for part in fields(cls):
            value, kind = getattr(run, part.name), part.type.partition("[")[0]  # type: ignore[union-attr]
            if type(value).__name__ != kind:
                raise Refusal(f"{part.name} of a run must be a {kind}, not {value!r}")
        return run

    @property
    def total(self) -> int:
        """Environment steps of the lessons and of what follows."""
        return self.steps + int(self.lessons.get("steps", 0))

    def check(self) -> None:
        """Refuse what no run can have.

        Raises:
            Refusal: names it.
        """
        if self.agent_kwargs.get("workers") == "torchrun":
            raise Refusal('workers="torchrun" is for scripts of your own; here workers=4 trains in four processes')
        for name, least in (("steps", 0 if self.lessons else 1), ("lanes", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise Refusal(f"--{name} must be at least {least}, got {getattr(self, name)}")
        taught = self.lessons.get("steps", 0)
        if not isinstance(taught, int) or isinstance(taught, bool):
            raise Refusal(f"steps of the lessons must be a whole number, got {taught!r}")
        if self.lanes > 65_536 or self.seed >= 2**32:
            raise Refusal(f"at most 65,536 lanes and a seed below 2^32, got {self.lanes} and {self.seed}")

    def make_env(self) -> Any:
        """The VecEnv to train in.

        Raises:
            Refusal: no such environment, or an impossible keyword.
        """
        from agents.common.vec_env import make_sb3

        keywords = {**self.env_kwargs, **self.train_kwargs}
        find_spec(self.env_id)
        with refusing(self.env_id):
            return make_sb3(self.env_id, self.lanes, seed=10_000 * (self.seed + 1), **keywords)

    def make_agent(self, env: Any, **more: Any) -> BaseAlgorithm:
        """The untrained agent for a VecEnv.

        Args:
            env: the VecEnv.
            **more: keywords in place of those of the run.

        Raises:
            Refusal: an agent that does not fit the environment, or a keyword that it refuses.
        """
        from .policies import advice, algorithm_class

        cls = algorithm_class(self.algorithm)
        self._check_keywords(cls)
        keywords = {**self.keywords(cls, env.observation_space), **more}
        try:
            if self.algorithm == "WorldModelController":
                keywords.pop("policy")
                agent: BaseAlgorithm = cls.from_preset(self.preset, env, seed=self.seed, **keywords)
                return agent
            return cls(env=env, seed=self.seed, **keywords)  # type: ignore[no-any-return]
        except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise Refusal(
                f"{self.algorithm} for {self.env_id}: {error or type(error).__name__}{advice(env)}"
            ) from error

    def _check_keywords(self, kind: type) -> None:
        """Refuse a keyword that the agent has not, but another of this project has."""
        from agents import AGENTS
        from agents.cores.ops.checks import constructor_keywords

        if kind not in AGENTS.values():
            return
        unknown = [name for name in self.agent_kwargs if name not in constructor_keywords(kind)]
        others = [name for name, other in AGENTS.items() if set(unknown) <= set(constructor_keywords(other))]
        if unknown and others:
            advice = (
                f"add --algorithm {others[0]}" if len(others) == 1 else "--help after the id names those that fit it"
            )
            raise Refusal(f"{self.algorithm} has no {' and no '.join(unknown)}, unlike {', '.join(others)}: {advice}")

    def keywords(self, kind: Any, observation_space: gym.Space[Any]) -> dict[str, Any]:
        """Those of the constructor of the algorithm's class, with the policy that suits the observations."""
        policy = suitable_policy(kind, observation_space)
        own = deepcopy(self.agent_kwargs)  # Stable-Baselines3 writes into what it is given
        keywords = {"policy": policy, **{name: schedule(value) for name, value in own.items()}}
        if keywords.get("replay_buffer_class") == "HerReplayBuffer":
            from stable_baselines3 import HerReplayBuffer

            keywords["replay_buffer_class"] = HerReplayBuffer
        return keywords


def suitable_policy(kind: Any, observation_space: gym.Space[Any]) -> str:
    """The name of an algorithm's policy for a Dict, for images, or for other observations."""
    from stable_baselines3.common.preprocessing import is_image_space

    if isinstance(observation_space, gym.spaces.Dict):
        sees = ["MultiInput"]
    elif is_image_space(observation_space) and sorted(observation_space.shape or ())[1] >= SMALLEST_IMAGE:
        sees = ["Cnn", "Mlp"]
    else:
        sees = ["Mlp"]
    names = [f"{name}{memory}Policy" for name in sees for memory in ("", "Lstm")]  # sb3-contrib has MlpLstmPolicy
    return next((name for name in names if name in kind.policy_aliases), names[0])


def schedule(value: Any) -> Any:
    """``"lin_3e-4"``, as rl-zoo3 writes it, as a schedule that falls linearly to 0; other values as they are.

    Raises:
        Refusal: no number after "lin_".
    """
    if not (isinstance(value, str) and value.startswith("lin_")):
        return value
    from stable_baselines3.common.utils import LinearSchedule

    try:
        return LinearSchedule(float(value[4:]), 0.0, 1.0)
    except ValueError:
        raise Refusal(f"a schedule is written as lin_3e-4, not {value!r}") from None


# ---------------------------------------------------------------------------------------- folders


def create_folder(run: Run, folder: Path | None, overwrite: bool = False, suffix: str | None = None) -> Path:
    """Make a new run folder with its config.json; it appears complete, by one rename.

    Args:
        run: what is to be trained.
        folder: None: a new one under ``runs/``, named after id, algorithm, seed and a counter.
        overwrite: replace an existing run.
        suffix: of the name, in place of the seed.

    Raises:
        Refusal: the folder exists, or cannot be made.
    """
    parent = folder.parent if folder is not None else Path("runs")
    hidden = parent / f".new-{uuid.uuid4().hex}"  # unlike any of another process or machine
    try:
        hidden.mkdir(parents=True)
        write_json(hidden / "config.json", asdict(run))
        if folder is not None:
            if folder.exists() and overwrite and (folder / "config.json").is_file():
                shutil.rmtree(folder)
            if folder.exists() and any(folder.iterdir()):
                raise Refusal(
                    f"{folder} exists: go on with --resume {folder}, replace it with --overwrite, or name another"
                )
            hidden.rename(folder)
            return folder
        own_id, agent = run.env_id.rpartition(":")[2].rpartition("/")[2], run.algorithm.rpartition(":")[2]
        stem, count = f"{own_id}_{agent}_{suffix or f'seed{run.seed}'}", 1
        while True:
            try:
                hidden.rename(parent / f"{stem}_{count}")
            except OSError:
                if not (parent / f"{stem}_{count}").exists():
                    raise
                count += 1
            else:
                return parent / f"{stem}_{count}"
    except OSError as error:
        raise Refusal(f"cannot make a run folder in {parent}: {error.strerror}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)


def read_config(folder: str | Path, trust: bool = False) -> dict[str, Any]:
    """The configuration of a run folder.

    Args:
        folder: the run folder.
        trust: import the modules that it names.

    Raises:
        Refusal: there is none, or it says what no run writes; the message names the file.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise Refusal(f"{folder} is no run folder: it has no config.json (foveal train writes one)")
    if path.stat().st_size > LARGEST_CONFIG:
        raise Refusal(f"{path} is larger than any run writes")
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{path} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise Refusal(f"{path} must hold a mapping, not {type(config).__name__}")
    missing = {"algorithm", "env_id", "env_kwargs"} - config.keys()
    if missing:
        raise Refusal(f"{path} lacks {', '.join(sorted(missing))}")
    env_id, keywords = config["env_id"], config["env_kwargs"]
    if not isinstance(env_id, str) or not isinstance(config["algorithm"], str) or not isinstance(keywords, dict):
        raise Refusal(f"{path}: env_id and algorithm must be strings, and env_kwargs a mapping")
    if "task" in keywords:
        raise Refusal(f"{path}: env_kwargs hold a task, which no run writes: an id names its own")
    for name in (env_id, config["algorithm"]):
        module = name.rpartition(":")[0]
        if module and module not in sys.modules and not trust:
            raise Refusal(f"{path} names the module {module!r}, which would be imported; if you trust it, pass --trust")
    return config


def save_run(agent: BaseAlgorithm, folder: str | Path, env_id: str, **env_kwargs: Any) -> None:
    """Save an agent that was trained in Python as a run folder, for ``evaluate``, ``watch`` and the suite.

    Args:
        agent: of this project, of Stable-Baselines3, or of a class of your own, which is found again by its module.
        folder: a new one.
        env_id, env_kwargs: the environment in which it acts.

    Raises:
        Refusal: the folder exists.
    """
    from .policies import algorithm_name

    run = Run(env_id, env_kwargs, algorithm_name(type(agent)), steps=agent.num_timesteps, lanes=agent.n_envs)
    agent.save(create_folder(run, Path(folder)) / "model.zip")


def find_environment(
    environment: str | None, keywords: Mapping[str, Any], zoo: str | None = None, trust: bool = False
) -> tuple[str, dict[str, Any], str | None]:
    """What the first word of a command means.

    Args:
        environment: an environment's id, or a run folder, whose id and keywords are taken.
        keywords: override those of the run.
        zoo: an id, whose agent in the zoo is taken.
        trust: see `read_config`.

    Returns:
        id, keywords, and the agent of the run folder (None for an id).

    Raises:
        Refusal: neither is given, or the zoo has no such agent.
    """
    if zoo is not None:
        from ..recipes import zoo_folder

        environment = str(zoo_folder(zoo))
    if environment is None:
        raise Refusal("name an environment, as Foveal/TargetDetection-v0, or a run folder")
    if Path(environment).is_dir():
        config = read_config(environment, trust)
        return config["env_id"], {**config["env_kwargs"], **keywords}, environment
    if environment.endswith(".zip"):
        raise Refusal(f"{environment} is a file: name its folder, or the environment's id and --agent {environment}")
    if environment.startswith(("runs/", "./", "../", "/")):
        raise Refusal(f"there is no run folder {environment}")
    return environment, dict(keywords), None
