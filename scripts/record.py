"""Record episodes of an agent or a reference as a Minari dataset. ``python -m scripts.record --help``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from .shared.command import Refusal, program, run_command
from .shared.environments import find_spec, is_native, make_lanes, parse_keywords, refusing
from .shared.policies import Predictor, load_agent
from .shared.rollouts import rollout
from .shared.runs import find_environment

LANES = 256  # at most, side by side


def record(
    environment: str | None = None,
    agent: str | None = None,
    episodes: int = 100,
    seed: int = 0,
    dataset: str | None = None,
    env: tuple[str, ...] = (),
    zoo: str | None = None,
    algorithm: str | None = None,
    trust: bool = False,
    overwrite: bool = False,
) -> None:
    """Record episodes as a Minari dataset, from the native environment where there is one.

    Episode i is the one that ``env.reset(seed=seed + i)`` begins. Where Minari keeps its datasets, MINARI_DATASETS_PATH
    says. `WorldModel.fit` learns from what this command writes.

    Args:
        environment: an environment's id, as Foveal/TargetDetection-v0, or a run folder.
        agent: "random", "oracle", a run folder or a model.zip; default: the run folder's model, or the oracle.
        episodes: how many.
        seed: of the first episode.
        dataset: id of the dataset; default: made of the names, as foveal/targetdetection/oracle-v0.
        env: keywords of the environment, KEY=VALUE.
        zoo: record the trained agent that comes with this package for this id.
        algorithm: class of the agent in a file without a config.json beside it.
        trust: also load a file whose loading runs code that it holds.
        overwrite: replace a dataset of this id.
    """
    if episodes < 1 or not 0 <= seed < 2**32:
        raise Refusal(f"at least 1 episode and a seed from 0 to 2^32 - 1, got {episodes} and {seed}")
    if importlib.util.find_spec("minari") is None:
        raise Refusal("datasets are written by Minari: pip install 'minari[hdf5,create]'")
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_dataset import parse_dataset_id

    env_id, keywords, own_agent = find_environment(environment, parse_keywords(env), zoo, trust)
    name = agent or own_agent or "oracle"
    own = env_id.rpartition(":")[2].rpartition("-v")[0].lower()
    dataset = dataset or f"{own}/{Path(name).stem.lower()}-v0"
    try:
        version = parse_dataset_id(dataset)[2]
    except (TypeError, ValueError):
        version = None
    if version is None:
        raise Refusal(
            "an id of a dataset is words of two letters or more and a version, as foveal/parking/oracle-v0, not "
            f"{dataset!r}"
        )
    try:
        there = dataset in minari.list_local_datasets()
    except OSError as error:
        raise Refusal(f"cannot write into the folder of MINARI_DATASETS_PATH: {error}") from error
    if there and not overwrite:
        raise Refusal(f"there is a dataset {dataset} already: --overwrite replaces it")
    lanes = seeded_lanes(env_id, keywords, min(episodes, LANES))
    policy = load_agent(name, lanes, seed, trust, algorithm)
    if isinstance(lanes.single_observation_space, gym.spaces.Tuple):
        raise Refusal(f"{env_id} observes a Tuple, which is not recorded: wrap it to observe a Box or a Dict")
    played = tqdm(play(lanes, policy, episodes, seed), total=episodes, unit="episode", file=sys.stderr, disable=None)
    single = gym.make(find_spec(env_id), **keywords)
    recorded = [EpisodeBuffer(id=number, seed=seed + number, **episode) for number, episode in enumerate(played)]
    if there:
        minari.delete_dataset(dataset)
    made = minari.create_dataset_from_buffers(
        dataset,
        recorded,
        env=single,
        eval_env=single,
        algorithm_name=name,
        jpeg_encoding=False,
    )
    lanes.close()
    print(f"{made.total_episodes:,} episodes, {made.total_steps:,} steps: minari.load_dataset({dataset!r})")


def seeded_lanes(env_id: str, keywords: dict[str, Any], count: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Lanes of which lane i plays the episode of seed + i: a foreign environment's own vector form may not."""
    if is_native(env_id):
        return make_lanes(env_id, keywords, count)
    with refusing(env_id):
        return gym.make_vec(find_spec(env_id), count, vectorization_mode="sync", **keywords)


def play(
    lanes: gym.vector.VectorEnv[Any, Any, Any], policy: Predictor, episodes: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Episodes one after the other, in Minari's shape.

    Args:
        lanes: whose observation at an end is that of the end, as in NEXT_STEP.
        policy: whatever has Stable-Baselines3's ``predict``.
        episodes: how many.
        seed: of the first.

    Yields:
        observations (T + 1, ...) or a dict of these, actions (T, ...), rewards, terminations and truncations (T,).
    """
    for first in range(0, episodes, lanes.num_envs):
        moves = list(rollout(lanes, policy, seed + first))
        lengths = np.sum([move.running for move in moves[1:]], 0)
        for lane in range(min(lanes.num_envs, episodes - first)):
            own = moves[1 : 1 + lengths[lane]]
            yield {
                "observations": _stacked([move.obs for move in (moves[0], *own)], lane),
                "actions": np.stack([move.actions[lane] for move in own]),
                "rewards": np.array([move.rewards[lane] for move in own]),
                "terminations": np.array([move.terminated[lane] for move in own]),
                "truncations": np.array([move.truncated[lane] for move in own]),
            }


def _stacked(observations: Sequence[Any], lane: int) -> Any:
    if isinstance(observations[0], dict):
        return {key: _stacked([one[key] for one in observations], lane) for key in observations[0]}
    return np.stack([one[lane] for one in observations])


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(record, program("record"), words)


if __name__ == "__main__":
    main()
