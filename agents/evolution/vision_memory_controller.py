"""World Models: a controller C that evolves in the dream of V and M, and then acts on what they see and remember."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from ..common.actor import Actor
from ..common.agent import check_finite
from ..common.vec_env import GymnasiumVecEnv
from .dream import Ends, MixtureDream
from .memory import Memory, Observes
from .mixture import MixtureModel
from .policy import EvolvedPolicy
from .presets import PRESETS
from .recording import random_play
from .search import Evolution
from .vae import ConvVAE

Preset = Literal["car_racing", "doom", "small"]


class VisionMemoryPolicy(Actor):
    """V, M and C: an image becomes a code z, C acts on z and on what M remembers, and M reads z and the action.

    Args:
        observation_space: Box of images.
        action_space: Box, Discrete or MultiDiscrete.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        preset: sizes of V and M, see `PRESETS`.
        observes: what C sees, see `Memory`.
        net, net_kwargs: of C, see `EvolvedPolicy`.

    Attributes:
        vae: V.
        model: M.
        controller: C.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        preset: Preset = "small",
        observes: Observes = "zh",
        net: str = "linear",
        net_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(observation_space, action_space)
        if not isinstance(observation_space, spaces.Box) or observation_space.dtype != np.uint8:
            raise ValueError(f"V sees images, a Box of uint8, not {observation_space}")
        sizes = PRESETS[preset]
        self.vae = ConvVAE(observation_space, **sizes["vae"])
        self.model = MixtureModel(self.vae.codes, action_space, **sizes["model"])
        self.observes: Observes = observes
        seen = Memory(self.model, 1, observes).space
        self.controller = EvolvedPolicy(seen, action_space, net=net, net_kwargs=net_kwargs)

    def act(
        self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, tuple[Any, ...]]:
        """See `Actor.act`. Nothing is drawn; the state is M's output and core state, and C's state."""
        model, starts = self.model, torch.from_numpy(episode_start)
        codes, _ = self.vae.encode(obs)
        if state is None:
            blank = codes.new_zeros(len(codes), model.core.output_size)
            state = blank, model.initial_state(len(codes)), None
        output, memory, own = state
        output = torch.where(starts[:, None], 0.0, output)
        seen = [codes, output] if self.observes != "z" else [codes]
        if self.observes == "zhc":
            seen.append(torch.where(starts[:, None], 0.0, memory[1]))
        actions, own = self.controller.act(torch.cat(seen, 1), own, episode_start, deterministic)
        read = model.inputs(codes, model.actions.from_env(actions).to(codes), starts)
        output, memory = model.core.step(read, memory, starts)
        return actions, (output, memory, own)


class VisionMemoryController(Evolution):
    """V-M-C of Ha & Schmidhuber, World Models (arXiv 1809.01999): random play, then V, then M, then C in M's dream.

    Before its first generation it records `frames` steps of random play in the environment, V learns from these images,
    and M from their codes. From then on C evolves in a `MixtureDream`, and no candidate ever plays in the environment.
    The steps in the dream count as those in the environment do. `predict` takes images.

    Args:
        policy: "VisionMemoryPolicy".
        env: of `make_sb3`, with images; see `Evolution`.
        preset: sizes of V and M and how they learn: "small", or as published "doom" or "car_racing".
        observes: what C sees: "z", "zh" or "zhc", see `Memory`.
        frames: steps of random play, all lanes together.
        longest_repeat: most steps for which random play repeats an action.
        temperature: of the dream, see `MixtureDream`.
        ends: of the dream. "expected": the fitness is the expected survival, which tells all candidates apart; with
            "cut", as published, half of the dreams never end.
        horizon: steps of a dream; far beyond the length of the episodes that M has seen, dreams mean little.
        population, episodes, sigma, test_episodes, keywords: see `Evolution`.

    Attributes:
        starts: (2, n, K) mean and log variance of the codes with which dreams begin; empty before V has learned.
    """

    PROGRESS: ClassVar[tuple[str, ...]] = (*Evolution.PROGRESS, "starts")

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(
        ("VisionMemoryPolicy", "MlpPolicy", "CnnPolicy"), VisionMemoryPolicy
    )

    def __init__(
        self,
        policy: str | type[Actor] = "VisionMemoryPolicy",
        env: GymEnv | str | None = None,
        *,
        preset: Preset = "small",
        observes: Observes = "zh",
        frames: int = 100_000,
        longest_repeat: int = 10,
        temperature: float = 1.15,
        ends: Ends = "expected",
        horizon: int = 200,
        population: int = 64,
        episodes: int = 8,
        sigma: float = 0.5,
        test_episodes: int = 64,
        _init_setup_model: bool = True,
        **keywords: Any,
    ) -> None:
        self.preset: Preset = preset
        self.observes: Observes = observes
        self.frames = frames
        self.longest_repeat = longest_repeat
        self.temperature = temperature
        self.ends: Ends = ends
        self.horizon = horizon
        self.starts = torch.zeros(2, 0, 0)
        self._dream: GymnasiumVecEnv | None = None
        super().__init__(
            policy, env, population=population, episodes=episodes, sigma=sigma, test_episodes=test_episodes,
            _init_setup_model=_init_setup_model, **keywords,
        )  # fmt: skip

    def _policy_keywords(self) -> dict[str, Any]:
        return {**super()._policy_keywords(), "preset": self.preset, "observes": self.observes}

    @property
    def evolved(self) -> EvolvedPolicy:
        """C."""
        controller: EvolvedPolicy = self.policy.controller
        return controller

    @property
    def arena(self) -> VecEnv:
        """The dream, with a lane for every episode of a generation."""
        if self._dream is None:
            self._dream = GymnasiumVecEnv(self.dream(self.population * self.episodes))
        return self._dream

    def dream(self, num_envs: int, **keywords: Any) -> MixtureDream:
        """M's dream as a vector environment, for any agent.

        Args:
            num_envs: N.
            keywords: of `MixtureDream`; the defaults are those of this agent.

        Raises:
            ValueError: V and M have not learned yet.
        """
        if not self.starts.shape[1]:
            raise ValueError("V and M have not learned yet: call learn first")
        own = {"horizon": self.horizon, "temperature": self.temperature, "ends": self.ends, "observes": self.observes}
        return MixtureDream(self.policy.model, (self.starts[0], self.starts[1]), num_envs, **{**own, **keywords})

    def collect(self, callback: BaseCallback) -> int | None:
        """See `Agent.collect`; before the first generation V and M learn."""
        if not self.policy.vae.seen:
            self._study()
        return super().collect(callback)

    def _study(self) -> None:
        """Plays at random, and lets V and M learn from it."""
        env = self.training_env
        if not isinstance(env, GymnasiumVecEnv):
            raise ValueError(f"random play needs Gymnasium's vector environment, as make_sb3 makes it, not {env}")
        policy, learning, seed = self.policy, PRESETS[self.preset], self.search.seed
        recording = random_play(env.env, self.frames, longest_repeat=self.longest_repeat, seed=seed)
        check_finite("reward", recording.rewards, len(recording))
        generator = torch.Generator().manual_seed(seed)
        vision = policy.vae.learn(recording.frames, generator=generator, **learning["vae_learning"])
        coded = recording.encoded(policy.vae)
        memory = policy.model.learn(coded, generator=generator, **learning["model_learning"])
        self.starts = torch.stack(coded.starts())
        self.num_timesteps += len(recording)
        for name, losses in (("vision", vision), ("memory", memory)):
            self.measures |= {f"{name}/{key}": value for key, value in losses[-1].items()}

    def check_state(self, name: str, given: Any) -> None:
        """See `SavedAlgorithm.check_state`."""
        if name != "starts":
            super().check_state(name, given)
        elif not isinstance(given, Tensor) or given.dim() != 3 or len(given) != 2:
            raise ValueError(f"starts must be mean and log variance (2, n, {self.policy.vae.codes})")
        elif given.shape[1] and given.shape[2] != self.policy.vae.codes:
            raise ValueError(f"starts are of {self.policy.vae.codes} codes, not {given.shape[2]}")

    def take(self, content: Mapping[str, Any]) -> None:
        """See `SavedAlgorithm.take`; the dream is made anew."""
        super().take(content)
        self._dream = None
