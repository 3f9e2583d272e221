"""What all policies share: acting on one observation or a batch, with state from step to step; saving and loading."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import get_device
from torch import Tensor

from ..cores.ops.checks import constructor_keywords, refuse_unknown
from .archive import ArchiveError, File, one_line, read_zip, source_of, write_zip
from .saving import check_class, merged, refuse_missing


class Actor(BasePolicy):
    """A policy that carries state from step to step. Subclasses implement `act`."""

    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Records the constructor's arguments for `save`; refuses unknown keywords."""
        refuse_unknown(cls, keywords)
        made = super().__new__(cls)
        vars(made)["_arguments"] = {**dict(zip(constructor_keywords(cls, True), args, strict=False)), **keywords}
        return made

    @abstractmethod
    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, Any]:
        """Actions (N, ...) for the environment, and the next state.

        Args:
            obs: tensors (N, ...), or a dict of these.
            state: what the last call returned; None at the start.
            episode_start: (N,) bool, True for all lanes where `state` is None.
            deterministic: take the most likely action instead of a sample.
        """

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions for one observation or a batch; see Stable-Baselines3.

        Args:
            observation: from the environment, with or without a leading axis (N, ...).
            state: what the last call returned; None at the start.
            episode_start: (N,) bool; None: no episode starts.
            deterministic: take the most likely action instead of a sample.

        Returns:
            Actions with or without a leading axis, and the next state.
        """
        self.set_training_mode(False)
        obs, batched = self.obs_to_tensor(observation)
        count = len(next(iter(obs.values())) if isinstance(obs, Mapping) else obs)
        starts = np.full(count, state is None)
        if episode_start is not None:
            starts |= np.asarray(episode_start, bool)
        with torch.no_grad():
            actions, state = self.act(obs, state, starts, deterministic)
        return (actions if batched else actions[0]), state

    def save(self, path: File) -> None:
        """Writes the constructor's arguments and the parameters as an archive, which holds only data."""
        content = {
            "class": type(self).__name__,
            "settings": self._get_constructor_parameters(),
            "parameters": self.state_dict(),
        }
        write_zip(path, "policy", content)

    @classmethod
    def load(cls, path: File, device: torch.device | str = "auto", **keywords: Any) -> Self:
        """Loads a policy from a file that `save` wrote. No code from the file runs.

        Args:
            path: the file, or an open binary file.
            device: device of the parameters.
            keywords: arguments that replace those in the file. Those that it could not hold must be passed.

        Raises:
            ArchiveError: the file is no archive, is damaged or of another class, or an argument that it could not hold
                is missing. The message is one line.
        """
        archive = read_zip(path, "policy")
        content = archive.content
        try:
            check_class(cls, content)
            refuse_missing(archive.not_data, keywords)
            known = constructor_keywords(cls)
            keywords |= {"device": get_device(device)} if "device" in known else {}
            keywords |= {"lr_schedule": None} if "lr_schedule" in known else {}
            policy = cls(**merged(content["settings"], keywords))
            policy.load_state_dict(content["parameters"])
        except Exception as error:  # a damaged file may raise anything
            raise ArchiveError(f"{source_of(path)}: {one_line(error)}") from error
        return policy.to(get_device(device))

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {name: value for name, value in self._arguments.items() if name not in ("lr_schedule", "device")}

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        raise NotImplementedError(f"a {type(self).__name__} needs its state: call predict")
