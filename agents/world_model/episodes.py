"""Recorded episodes in Minari's shape, as the experience that M learns from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.encoder import Encoder
from .actions import Actions


@dataclass(frozen=True)
class Episode:
    """T steps.

    Attributes:
        observation: (T, D) before each step.
        action: (T, A) vectors.
        next_percept: (T, P) observation and achieved goal after each step.
        reward, terminated: (T, 1).
    """

    observation: Tensor
    action: Tensor
    next_percept: Tensor
    reward: Tensor
    terminated: Tensor


def read_episodes(dataset: Iterable[Any], encoder: Encoder, actions: Actions) -> list[Episode]:
    """Reads and checks episodes.

    Args:
        dataset: episodes, objects or mappings, as those of a `minari.MinariDataset`: observations (T + 1, ...), or a
            dict of these, actions (T, ...), rewards, terminations and truncations (T,).
        encoder: of the observations.
        actions: of the action space.

    Raises:
        ValueError: there is no episode, or one does not fit the spaces, has lengths that do not match or numbers that
            are not finite, or goes on after its end; the message names it by its place, from 0 on.
    """
    episodes = []
    for number, episode in enumerate(dataset):
        try:
            episodes.append(_read(episode, encoder, actions))
        except ValueError as error:
            raise ValueError(f"episode {number}: {error}") from error
    if not episodes:
        raise ValueError("the dataset has no episodes")
    return episodes


def read_images(dataset: Iterable[Any], encoder: Encoder) -> Tensor:
    """The images (n, ...) of episodes that `read_episodes` accepts, goals included."""
    images = []
    for episode in dataset:
        observations = _field(episode, "observations")
        named = observations if encoder.is_dict else {"observation": observations}
        images += [encoder.as_in_space(key, np.asarray(named[key])) for key in encoder.images]
    return torch.from_numpy(np.concatenate(images))


def _read(episode: Any, encoder: Encoder, actions: Actions) -> Episode:
    named = {name: _field(episode, name) for name in ("rewards", "terminations", "truncations")}
    rewards, terminated, truncated = (_numbers(name, values) for name, values in named.items())
    vectors = actions.from_env(_field(episode, "actions"))
    steps = len(vectors)
    for name, flags in (("terminations", terminated), ("truncations", truncated)):
        if not np.isin(flags, (0, 1)).all():
            raise ValueError(f"{name} must be True or False")
    for name, array in zip(named, (rewards, terminated, truncated), strict=True):
        if array.shape != (steps,):
            raise ValueError(f"{steps} actions, but {name} of shape {array.shape}, which must be ({steps},)")
    if not steps:
        raise ValueError("it has no steps")
    early = np.flatnonzero((terminated != 0) | (truncated != 0))
    if len(early) and early[0] < steps - 1:
        raise ValueError(f"it ends at step {early[0]}, but has {steps} steps")
    observations = _observations(_field(episode, "observations"), encoder, steps)
    seen, percepts = encoder.observation(observations), encoder.percept(observations)
    ends, device = terminated.astype(np.float32), encoder.device
    column = {"reward": torch.as_tensor(rewards, device=device), "terminated": torch.as_tensor(ends, device=device)}
    return Episode(seen[:-1], vectors, percepts[1:], **{name: part[:, None] for name, part in column.items()})


def _field(episode: Any, name: str) -> Any:
    found = episode.get(name) if isinstance(episode, Mapping) else getattr(episode, name, None)
    if found is None:
        raise ValueError(f"it has no {name}")
    return found


def _numbers(name: str, values: Any) -> np.ndarray:
    """Finite float32 numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise TypeError
        array = array.astype(np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{name} are no numbers") from None
    if not np.isfinite(array).all():
        raise ValueError(f"{name} are not all finite")
    return array


def _observations(observations: Any, encoder: Encoder, steps: int) -> Any:
    """Observations (T + 1, ...) as the encoder reads them."""
    named = observations if encoder.is_dict else {"observation": observations}
    if not isinstance(named, Mapping) or encoder.parts.keys() - named.keys():
        raise ValueError(f"observations must be a dict with the keys {', '.join(encoder.parts)}")
    arrays = {}
    for key, part in encoder.parts.items():
        what = f"observations of {key!r}" if encoder.is_dict else "observations"
        if key in encoder.images:
            arrays[key] = encoder.as_in_space(key, np.asarray(named[key]))
            if arrays[key].dtype != np.uint8:
                raise ValueError(f"{what} are images, which must be uint8, not {arrays[key].dtype}")
        else:
            arrays[key] = _numbers(what, named[key])
        shape = (steps + 1, *part.shape)
        if arrays[key].shape != shape:
            raise ValueError(f"{steps} actions, but {what} of shape {arrays[key].shape}, which must be {shape}")
    obs = arrays if encoder.is_dict else arrays["observation"]
    encoder.check_goals(obs)
    return obs
