"""Evolution: a population of small nets, of which the mean is kept."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage
from torch import Tensor

from ..common.actor import Actor
from ..common.agent import Agent, Step, check_finite
from ..common.data import check_range
from ..common.group import summed
from ..cores import State
from ..cores.ops.checks import whole
from .jobs import Jobs, Lanes
from .optimizers import Search
from .policy import EvolvedPolicy

ACTIONS = spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary
TESTS = 1 << 32  # what the episodes of tests are counted from, so that no generation plays them
NEVER = -math.inf


class Evolution(Agent):
    """Evolves the weights of a small net: nothing is differentiated, and fitness is the return of whole episodes.

    A generation is P candidates, each of which plays the same `episodes` episodes (common random numbers). Lanes take
    these jobs from a queue. Every `test_every` generations the mean of the candidates plays `test_episodes` episodes
    that no candidate ever plays, always the same ones; the policy is the mean that did best there, never the luckiest
    candidate. Before the first test it is the present mean.

    A generation is a pure function of the seed, whatever the number of lanes or workers, where the environment begins
    an episode by a key or by a seed (see `jobs.Lanes`).

    Args:
        policy: "EvolvedPolicy", also called "MlpPolicy", "CnnPolicy" and "MultiInputPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id.
        net: name in `NETS`: "linear", "recurrent", "lstm", "fast_weights" or "attention".
        net_kwargs: the net's own keywords, as {"hidden": 5}.
        optimizer: "cma", with a full covariance matrix (Hansen, arXiv 1604.00772); "sep-cma", with a diagonal one (Ros
            & Hansen 2008); "openai-es" (Salimans et al., arXiv 1703.03864).
        optimizer_kwargs: the optimizer's other keywords.
        population: P.
        episodes: that each candidate plays.
        gamma: discount of the return that is the fitness; below 1, a reward at the end also says how late it came.
        sigma: standard deviation of the first candidates.
        scales: what a step of 1 means in a layer, by its name in `net.layers`; 1 where nothing is said.
        common: whether all candidates of a generation play the same episodes.
        test_every: generations between two tests of the mean.
        test_episodes: of a test.
        patience: tests without a better mean, after which the search begins anew; None: it never does.
        workers: see `Agent.learn`.
        policy_kwargs: none.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        _init_setup_model: whether to make the policy at once.

    Attributes:
        generation: how many there were.
        best: mean discounted return of the policy in its test; -inf before the first.
        fitness: (P,) mean discounted returns of the last generation's candidates; NaN: the outputs were not finite.

    Raises:
        ValueError: a keyword of a wrong kind or out of range, or spaces that the policy does not know.
    """

    PROGRESS: ClassVar[tuple[str, ...]] = (*Agent.PROGRESS, "searched", "generation", "best", "tests_since_best")

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(
        ("EvolvedPolicy", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"), EvolvedPolicy
    )
    policy: Any
    exploring = True  # always: episodes of training say nothing about the policy

    def __init__(
        self,
        policy: str | type[Actor] = "EvolvedPolicy",
        env: GymEnv | str | None = None,
        *,
        net: Literal["attention", "fast_weights", "linear", "lstm", "recurrent"] = "linear",
        net_kwargs: dict[str, Any] | None = None,
        optimizer: Literal["cma", "openai-es", "sep-cma"] = "cma",
        optimizer_kwargs: dict[str, Any] | None = None,
        population: int = 32,
        episodes: int = 1,
        gamma: float = 1.0,
        sigma: float = 0.25,
        scales: dict[str, float] | None = None,
        common: bool = True,
        test_every: int = 10,
        test_episodes: int = 16,
        patience: int | None = None,
        workers: int = 1,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy, env, 0.0, policy_kwargs, seed=seed, device="cpu", verbose=verbose,
            stats_window_size=stats_window_size, tensorboard_log=tensorboard_log, support_multi_env=True,
            supported_action_spaces=ACTIONS,
        )  # fmt: skip
        self.net: str = net
        self.net_kwargs = net_kwargs or {}
        self.optimizer: str = optimizer
        self.optimizer_kwargs = optimizer_kwargs or {}
        self.population = population
        self.episodes = episodes
        self.gamma = gamma
        self.sigma = sigma
        self.scales = scales or {}
        self.common = common
        self.test_every = test_every
        self.test_episodes = test_episodes
        self.patience = patience
        self.workers = workers
        self.generation, self.best, self.tests_since_best = 0, NEVER, 0
        self.fitness = np.zeros(0)
        if _init_setup_model:
            self._setup_model()

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """See `Agent`; images keep their channels last, and the environment its ways to begin an episode."""
        wrapped = Agent._wrap_env(env, verbose, monitor_wrapper)
        return wrapped.venv if isinstance(wrapped, VecTransposeImage) and wrapped is not env else wrapped

    def _setup_model(self) -> None:
        super()._setup_model()
        whole("population", self.population, 4)
        self.policy = self.policy_class(self.observation_space, self.action_space, **self._policy_keywords())
        seed = int(np.random.randint(1 << 31)) if self.seed is None else self.seed  # noqa: NPY002 (seeded by SB3)
        scale = self.evolved.net.spread(self.scales)
        self.search = Search(self.optimizer, scale, self.sigma, self.population, seed, self.optimizer_kwargs)
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = ()

    def _policy_keywords(self) -> dict[str, Any]:
        """A subclass adds those of its own policy."""
        return {"net": self.net, "net_kwargs": self.net_kwargs, **self.policy_kwargs}

    @property
    def evolved(self) -> EvolvedPolicy:
        """What is evolved: the policy, or a part of it."""
        policy: EvolvedPolicy = self.policy
        return policy

    @property
    def arena(self) -> VecEnv:
        """Where the candidates play: the environment, or what stands for it."""
        return self.training_env  # type: ignore[no-any-return]

    @property
    def searched(self) -> dict[str, Any]:
        """All that the search has learned, as data."""
        return self.search.get_state()

    @searched.setter
    def searched(self, state: dict[str, Any]) -> None:
        self.search.set_state(state)

    def check_state(self, name: str, given: Any) -> None:
        """See `SavedAlgorithm.check_state`."""
        if name != "searched":  # which checks it itself
            super().check_state(name, given)
        if name in ("generation", "tests_since_best"):
            check_range(name, np.array(given), 0, 1 << 40)

    def rollout_length(self) -> None:
        """A generation: until every candidate has played its episodes."""

    def _keys(self, generation: int, rows: int, episodes: int) -> np.ndarray:
        """(rows, episodes) uint64, the keys of a generation's episodes; rows are alike with common random numbers."""
        own = 1 if self.common else rows
        drawn = np.random.SeedSequence([self.search.seed, generation]).generate_state(own * episodes, np.uint64)
        return np.broadcast_to(drawn.reshape(own, episodes), (rows, episodes))

    def begin_rollout(self) -> None:
        """See `Agent.begin_rollout`: lists the jobs of the generation, of which this process has its share."""
        if not self.search.started:
            self.search.start(self.evolved.weights.detach().numpy())
        # The mean is the last candidate, and plays only where it is tested.
        self._weights = np.concatenate((self.search.ask(), self.search.mean[None]))
        keys = self._keys(self.generation, self.population, self.episodes).T
        who = np.broadcast_to(np.arange(self.population), keys.shape)
        tests = self._keys(TESTS, 1, self.test_episodes if self._tests_now else 0)[0]
        everyone = np.concatenate((who.ravel(), np.full(len(tests), self.population)))
        share, lanes = slice(self.rank, None, self.processes), self.arena.num_envs
        self._jobs = Jobs(everyone[share], np.concatenate((keys.ravel(), tests))[share], lanes, self.gamma)
        self._states = np.zeros((lanes, self.evolved.net.state_size))
        self._outputs = np.zeros((lanes, self.evolved.net.outputs))
        self._before, self._places = self.num_timesteps, (share, len(everyone))

    @property
    def _tests_now(self) -> bool:
        return (self.generation + 1) % self.test_every == 0

    def _collect(self, callback: BaseCallback) -> int | None:
        jobs, lanes, steps, count = self._jobs, Lanes(self.arena), 0, self.arena.num_envs
        lanes.start(int(self._keys(self.generation, 1, 1)[0, 0] % 2**31))
        jobs.take(np.arange(count))
        obs = lanes.begin(np.arange(count), jobs.lane_keys)
        start = np.ones(count, bool)
        while not jobs.finished:
            check_finite("observation", obs, self.num_timesteps)
            flags = torch.from_numpy(start)
            actions, act, states = self.act(obs, flags)
            obs, last, rewards, ends, terminated = lanes.step(actions, jobs.active)
            steps += 1
            self.num_timesteps += jobs.playing
            check_finite("reward", rewards, self.num_timesteps)
            if last is not obs:
                check_finite("last observation", last, self.num_timesteps)
            infos = jobs.infos(rewards, ends)
            self.remember(Step(act, flags, rewards, ends, terminated, last, infos, states))
            start = ends
            if np.count_nonzero(ends):
                self._update_info_buffer(infos, ends)
                given = jobs.take(np.flatnonzero(ends))
                obs = lanes.begin(given, jobs.lane_keys[given], obs)
            callback.update_locals(
                {"dones": ends, "infos": infos, "rewards": rewards, "new_obs": obs, "actions": actions}
            )
            if not callback.on_step():
                return None
        return steps

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """See `Agent.act`: every lane's own candidate acts; outputs that are not finite count as 0 and are noted."""
        self._states[episode_start.numpy()] = 0.0
        policy, outputs, active = self.evolved, self._outputs, self._jobs.active
        policy.net.kernel(self._weights, self._jobs.who, active, policy.inputs(obs), self._states, outputs)
        broken = np.zeros(len(outputs), bool)
        if not math.isfinite(np.vdot(outputs, outputs)):  # see `check_finite`: some number may not be
            broken = ~np.isfinite(outputs).all(1) & active
            outputs[broken] = 0.0
        return policy.actions(outputs), {"broken": broken}, ()

    def remember(self, step: Step) -> None:
        """See `Agent.remember`: adds the rewards to those of the candidates."""
        self._jobs.add(step.rewards, step.act["broken"])

    def train(self, steps: int) -> None:
        """Tells the search the fitness of its candidates, and keeps the mean if its test was the best."""
        share, count = self._places
        returns, lengths = np.zeros(count), np.zeros(count)
        returns[share], lengths[share] = self._jobs.returns, self._jobs.lengths
        returns, lengths = (part.numpy() for part in summed([torch.from_numpy(returns), torch.from_numpy(lengths)]))
        self.num_timesteps = self._before + int(lengths.sum())
        played = self.population * self.episodes
        self.fitness = returns[:played].reshape(self.episodes, self.population).mean(0)
        self._refuse_broken()
        worst = np.nanmin(self.fitness)
        if self._tests_now:
            self._judge(float(returns[played:].mean()))
        self.search.optimizer.tell(np.where(np.isnan(self.fitness), worst, self.fitness))
        self.generation += 1
        if self.patience is not None and self.tests_since_best >= self.patience:
            self.search.restart()
            self.tests_since_best = 0
        if self.best == NEVER:
            self._keep(self.search.mean)
        self.measures |= {
            "evolution/generation": self.generation,
            "evolution/fitness": np.nanmean(self.fitness),
            "evolution/best_fitness": np.nanmax(self.fitness),
            "evolution/not_finite": np.isnan(self.fitness).sum(),
            "evolution/sigma": self.search.optimizer.sigma,
            "evolution/restarts": self.search.restarts,
        }

    def _judge(self, test: float) -> None:
        """The mean has done so well in its test; of equals the later is kept."""
        self.measures["evolution/test"] = test
        self.tests_since_best = 0 if test > self.best else self.tests_since_best + 1
        if test >= self.best:
            self.best = test
            self._keep(self._weights[-1])

    def _keep(self, weights: np.ndarray) -> None:
        with torch.no_grad():
            self.evolved.weights.copy_(torch.from_numpy(weights))

    def _refuse_broken(self) -> None:
        """Candidates whose outputs were not finite count as the worst; if all are so, nothing can be learned.

        Raises:
            FloatingPointError: they are.
        """
        broken = np.isnan(self.fitness)
        if broken.all():
            raise FloatingPointError(
                f"the outputs of all {self.population} candidates of generation {self.generation} were not finite: "
                "use a smaller sigma or smaller scales"
            )
        if broken.any():
            warnings.warn(
                f"the outputs of {broken.sum()} of {self.population} candidates of generation {self.generation} were "
                "not finite; they count as its worst",
                stacklevel=2,
            )
