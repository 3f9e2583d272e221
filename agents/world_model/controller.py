"""Controller C trained by gradients through a world model M (Schmidhuber & Huber 1990; Schmidhuber 1990)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.vec_env import unwrap_vec_normalize
from torch import Tensor, nn

from ..common.agent import Agent, Step
from ..common.encoder import Encoder
from ..common.group import all_agree, largest
from ..common.losses import check_losses, descend, learned
from ..common.sequences import Sequence, exchange_goals
from ..common.vision import Vision
from ..common.workers import Workers
from ..cores import Core, State
from ..cores.ops.checks import refuse_unknown
from .album import Album
from .dream_env import HORIZON, DreamVectorEnv
from .ensemble import Ensemble
from .evaluator import Evaluator
from .experience import Experience
from .exploration import Exploration
from .fitting import BURN_IN
from .model import Dream, States, WorldModel, usual_output
from .objectives import Objective, make_objective, signal_keys, signals_in, with_curiosity
from .online import NEEDED, online_descent
from .planning import Planner
from .policy import ControllerPolicy
from .presets import PRESETS
from .returns import Returns
from .unrolling import Unrolled, unrolled_along_reality, unrolled_by_others, unrolled_in_model, warmed

MODELS: dict[str, type[WorldModel]] = {"WorldModel": WorldModel, "Ensemble": Ensemble}


class WorldModelController(Agent):
    """Learns M by prediction, and C by gradient descent on an error, or ascent on a reward, through M.

    What C wants is a function of what M predicts, its `objective`: with goal keys, how well the achieved goal matches
    the desired one; without them M's reward unit, or pain and pleasure units among the observed numbers. C ascends the
    mean TD(lambda) return of its own trajectories. Gradients flow from each step's reward, and from V at the window's
    end, back through M and C to every earlier action. Where M predicts ends of episodes, which it does without goal
    keys, a step in imagination counts by the probability that no end came before it.

    Any observations of Box or Dict of Boxes will do, of any scale: without goals each number is read in units of its
    spread, learned from data (`Scale`). Actions may be a Box, with or without bounds, Discrete or MultiDiscrete.

    Args:
        policy: "ControllerPolicy" or a subclass.
        env: a VecEnv (`make_sb3`), an environment or its id.
        gradient: "real": activations come from the real trajectory and M gives only its Jacobian, as in 1990;
            "imagined": trajectories are rollouts inside M that start at real observations; "reinforce": likewise, but
            without M's derivatives, by the log-probability of what was drawn (Williams, Machine Learning 8, 1992), with
            V as the baseline; "mixed": the mean of the last two. "real" has the gradient at
            the action that was taken, not at the one that C would take now: it needs short rollouts, small steps and
            little noise, as in the preset "real_forward".
        error: "summed" over all steps, or "terminal": only at an episode's last step.
        schedule: "alternating": M and C both learn throughout; "model_first": M learns during `model_steps`, then is
            frozen while C learns.
        model_steps: environment steps at the start with uniformly random actions, during which only M learns; None:
            12,800 with goals, else 500.
        online: True: M learns after every step and C after every rollout, once, from that rollout alone; False:
            `updates` minibatches of windows from the replay after each rollout.
        compiled: True: online updates run as compiled loops (attribute `compiled_descent`); False: in PyTorch; None:
            compiled where `OnlineDescent` allows it. The two agree up to rounding.
        n_steps: steps per lane between updates; None: until every lane has finished an episode.
        updates: minibatches after each rollout; None: 40, without goals at most one a step.
        batch_size: windows in a minibatch.
        window: T, steps in a window and in an imagined rollout; None: 1 with goals, else 10.
        buffer_size: capacity of the replay, in transitions of all lanes together.
        evaluator: whether to train V and use it for what follows the window.
        td_lambda: lambda of TD(lambda).
        gamma: discount; None: 0.95 with goals, else 0.98.
        bootstrap_at_end: whether to use V also for what would follow the end of an episode; None: with goal keys,
            whose tasks end by the clock.
        noise: largest standard deviation of exploration, in half-ranges of the action; each episode of each lane
            draws its own, uniformly from 0 to this. For discrete actions, the probability of a random one.
        persistence: probability that the random action of the first `model_steps`, or the noise, is that of the step
            before: what no independent actions reach, as the top of a hill, those that persist may. None: 0 with goals,
            else 0.8.
        probabilistic: whether the actions of a Box are drawn, with a variance that C learns, see `Units`.
        ent_coef: weight of the entropy of what is drawn.
        random_share: probability that an action of C is replaced by a uniformly random one, so that M goes on seeing
            what C does not do.
        objective: "goal_match", "goal_error", "reward", "signals" or a function, see `make_objective`; None: the one
            that suits the observations.
        curiosity: weight of what M can still learn, added to the objective and climbed in imagination: the disagreement
            of an "Ensemble" whose core has no state, or the error that M expects of itself (`model_kwargs={"error":
            True}`), which noise attracts.
        match_widths: widths w of the goal reward, the mean of exp(-|d - x| / w); None: -E = -1/2 |d - x|^2.
        signals: pain and pleasure units: column of the observation, or key of the info in every step -> desired value,
            as {"2": 0.0} or {"pain": 0.0}; columns in the units that the agent is given, so in those of a VecNormalize.
        burn_in: real steps that C's and M's cores read before a window, so that their states are those of the present
            nets; 0: windows begin with the states that were recorded. None: 8 where a core has a state and there are no
            goals, else 0.
        end_share: share of the windows that hold the end of an episode; None: 1/4 without goals.
        scaled: whether observations are read in units of their spread; None: without goals, if M's units are residual.
        exchange: share of the imagined trajectories that pursue the goal of another.
        goal_input: whether C reads the desired goal.
        saturation: weight e of a penalty on C, e/2 |W core + b|^2 averaged over the batch: it keeps C's logistic
            outputs out of saturation, where no other gradient reaches them.
        share_goal: see `Encoder`.
        vision: whether images of at least 16 x 16 pixels are encoded by a `Vision`, an autoencoder that learns from
            those of the first `model_steps`; M and V begin to learn then. Else their pixels are numbers like all
            others. None: unless `online`, or under a VecNormalize of observations.
        vision_kwargs: keywords of `Vision`.
        core, core_kwargs: C's core, a name in `agents.CORES`, and its keywords.
        model_core, model_core_kwargs: M's.
        model_class, model_kwargs: M's class, "WorldModel" (None), "Ensemble" or a subclass of `WorldModel`, and its
            further keywords.
        head_weights: weights of the losses of M's heads, by name, 1 where nothing is said: what nobody can predict, as
            noise in the observation, may count less.
        evaluator_kwargs: keywords of `Evaluator`.
        model_output: see `WorldModel`; None: "logistic" where all observations lie in [0, 1], else "residual".
        optimizer: "adam" or plain "sgd".
        adam_eps: Adam's epsilon for C: gradients well below it move C little. Adam makes even those large that are left
            where nothing goes wrong any more, and C drifts away from what it can. None: 1e-8 with goals, else 1e-3.
        learning_rate: C's; a number or Stable-Baselines3's schedule of the progress remaining.
        model_learning_rate: M's.
        evaluator_learning_rate: V's.
        final_rate: share of the learning rates that is left at the end of training; they fall linearly.
        weight_range: weights and biases are initialised uniformly in +- this; None: PyTorch's default.
        max_grad_norm: largest norm of C's gradient, which is scaled down to it; None: no limit.
        workers: processes that train in parallel with averaged gradients, each with its own copy of `env` and other
            seeds: a number, of which all but this one are started by `learn` and run on the CPU; or "torchrun", for
            scripts that it starts. The steps of all of them count; callbacks run, and files are written, in the first.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3.
        _init_setup_model: whether to build the nets at once.

    Raises:
        ValueError: an unknown choice, an objective that does not suit the observations, `compiled=True` where it is not
            possible, or a VecNormalize that scales the goals differently.
        FloatingPointError: in training, a loss is not finite; that update has not changed the parameters.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "ControllerPolicy": ControllerPolicy,
        "MlpPolicy": ControllerPolicy,
        "CnnPolicy": ControllerPolicy,
        "MultiInputPolicy": ControllerPolicy,
    }
    STATE = (*Agent.STATE, "replay", "exploration", "album")
    RENAMED = {  # noqa: RUF012 (declared so by the parent)
        "rollout_steps": "n_steps",
        "replay_size": "buffer_size",
        "trace": "td_lambda",
        "discount": "gamma",
        "learning_starts": "model_steps",
    }
    policy: ControllerPolicy
    policy_class: type[ControllerPolicy]
    replay: Experience
    model_steps: int
    updates: int
    window: int
    gamma: float
    persistence: float
    adam_eps: float
    burn_in: int
    end_share: float
    scaled: bool

    def __init__(
        self,
        policy: str | type[ControllerPolicy] = "ControllerPolicy",
        env: GymEnv | str | None = None,
        *,
        gradient: Literal["real", "imagined", "mixed", "reinforce"] = "imagined",
        error: Literal["summed", "terminal"] = "summed",
        schedule: Literal["alternating", "model_first"] = "alternating",
        model_steps: int | None = None,
        online: bool = False,
        compiled: bool | None = None,
        n_steps: int | None = 10,
        updates: int | None = None,
        batch_size: int = 128,
        window: int | None = None,
        buffer_size: int = 400_000,
        evaluator: bool = True,
        td_lambda: float = 0.9,
        gamma: float | None = None,
        bootstrap_at_end: bool | None = None,
        noise: float = 1.0,
        persistence: float | None = None,
        probabilistic: bool = False,
        ent_coef: float = 0.0,
        random_share: float = 0.0,
        objective: str | Objective | None = None,
        curiosity: float = 0.0,
        match_widths: tuple[float, ...] | None = (0.2, 0.7),
        signals: dict[str, float] | None = None,
        burn_in: int | None = None,
        end_share: float | None = None,
        scaled: bool | None = None,
        exchange: float = 0.5,
        goal_input: bool = True,
        saturation: float = 3e-3,
        share_goal: bool | None = None,
        vision: bool | None = None,
        vision_kwargs: dict[str, Any] | None = None,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        model_core: str = "feedforward",
        model_core_kwargs: dict[str, Any] | None = None,
        model_class: Literal["WorldModel", "Ensemble"] | type[WorldModel] | None = None,
        model_kwargs: dict[str, Any] | None = None,
        head_weights: dict[str, float] | None = None,
        evaluator_kwargs: dict[str, Any] | None = None,
        model_output: Literal["logistic", "linear", "residual"] | None = None,
        optimizer: Literal["adam", "sgd"] = "adam",
        adam_eps: float | None = None,
        learning_rate: float | Schedule = 2e-3,
        model_learning_rate: float = 3e-3,
        evaluator_learning_rate: float = 3e-3,
        final_rate: float = 0.02,
        weight_range: float | None = None,
        max_grad_norm: float | None = None,
        workers: Workers = 1,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        if online and gradient != "real" and n_steps == 1:
            raise ValueError("online imagination starts from the outcome of a step: n_steps must be at least 2 or None")
        if online and burn_in:
            raise ValueError("online updates begin with the states that were just recorded: leave burn_in at 0 or None")
        wrapped = None if env is None else self._wrap_env(maybe_make_env(env, verbose), verbose)
        # Stable-Baselines3's constructor refuses actions without bounds, which this agent can push
        unbounded = (
            wrapped is not None and isinstance(space := wrapped.action_space, spaces.Box) and not space.is_bounded()
        )
        super().__init__(
            policy, None if unbounded else wrapped, learning_rate, seed=seed, device=device, verbose=verbose,
            stats_window_size=stats_window_size, tensorboard_log=tensorboard_log, support_multi_env=True,
            supported_action_spaces=(spaces.Box, spaces.Discrete, spaces.MultiDiscrete),
        )  # fmt: skip
        if unbounded and wrapped is not None:
            self.env, self.n_envs = wrapped, wrapped.num_envs
            self.observation_space, self.action_space = wrapped.observation_space, wrapped.action_space
            self._vec_normalize_env = unwrap_vec_normalize(wrapped)
        self.gradient = gradient
        self.error = error
        self.schedule = schedule
        # what is None is settled when the nets are built
        self.model_steps = model_steps  # type: ignore[assignment]
        self.online = online
        self.compiled = compiled
        self.n_steps = n_steps
        self.updates = updates  # type: ignore[assignment]
        self.batch_size = batch_size
        self.window = window  # type: ignore[assignment]
        self.buffer_size = buffer_size
        self.evaluator = evaluator
        self.td_lambda = td_lambda
        self.gamma = gamma  # type: ignore[assignment]
        self.bootstrap_at_end = bootstrap_at_end
        self.noise = noise
        self.persistence = persistence  # type: ignore[assignment]
        self.probabilistic = probabilistic
        self.ent_coef = ent_coef
        self.random_share = random_share
        self.objective = objective
        self.curiosity = curiosity
        self.match_widths = match_widths
        self.signals = signals
        self.burn_in = burn_in  # type: ignore[assignment]
        self.end_share = end_share  # type: ignore[assignment]
        self.scaled = scaled  # type: ignore[assignment]
        self.exchange = exchange
        self.goal_input = goal_input
        self.saturation = saturation
        self.share_goal = share_goal
        self.vision = vision
        self.vision_kwargs = vision_kwargs
        self.core = core
        self.core_kwargs = core_kwargs
        self.model_core = model_core
        self.model_core_kwargs = model_core_kwargs
        self.model_class: Any = next((name for name, kind in MODELS.items() if kind is model_class), model_class)
        self.model_kwargs = model_kwargs
        self.head_weights = head_weights
        self.evaluator_kwargs = evaluator_kwargs
        self.model_output = model_output
        self.optimizer = optimizer
        self.adam_eps = adam_eps  # type: ignore[assignment]
        self.model_learning_rate = model_learning_rate
        self.evaluator_learning_rate = evaluator_learning_rate
        self.final_rate = final_rate
        self.weight_range = weight_range
        self.max_grad_norm = max_grad_norm
        self.workers = workers
        if _init_setup_model:
            self._setup_model()

    @classmethod
    def from_preset(cls, preset: str, env: GymEnv | str | None, **keywords: Any) -> WorldModelController:
        """An agent with the keywords of `PRESETS[preset]`, overridden by `keywords`."""
        if preset not in PRESETS:
            raise ValueError(f"preset must be one of {sorted(PRESETS)}, not {preset!r}")
        return cls("ControllerPolicy", env, **{**PRESETS[preset], **keywords})

    def _setup_model(self) -> None:
        super()._setup_model()
        normalised = self._vec_normalize_env is not None and self._vec_normalize_env.norm_obs
        # A normalised observation is never the achieved goal.
        share = False if self.share_goal is None and normalised else self.share_goal
        self._settle(vision=not self.online and not normalised)
        sight = (self.vision_kwargs or {}) if self.vision else None
        encoder = self.encoder = Encoder(self.observation_space, share, self.device, normalised, sight)
        self.share_goal = encoder.shares_goal if encoder.has_goal else None  # what was decided is what is saved
        self.model_output = self.model_output or usual_output(encoder)
        batch = not self.online and not encoder.has_goal
        if self.scaled and (encoder.has_goal or self.model_output == "logistic"):
            raise ValueError(
                "scaled=True needs observations without goals and units that are not logistic: goals are compared in "
                "the environment's own units, and logistic units say numbers from 0 to 1"
            )
        self._settle(scaled=batch and self.model_output == "residual", end_share=0.25 if batch else 0.0)
        if encoder.has_goal:
            self._settle(model_steps=12_800, updates=40, window=1, gamma=0.95, persistence=0.0, adam_eps=1e-8)
        else:
            steps = self.lanes * (self.n_steps or 40)
            self._settle(model_steps=500, updates=min(40, steps), window=10, gamma=0.98, persistence=0.8, adam_eps=1e-3)
        self._setup_policy(sight)
        if encoder.eye and (self.online or normalised or self.model_steps < 1):
            raise ValueError(
                "an agent's Vision learns from the images of the first `model_steps`, as they come from the "
                "environment: leave online=False and model_steps above 0, and images out of VecNormalize"
            )
        self._setup_models()
        remembers = bool(self.world_model.memory_size or self.policy.core.initial_state(1))
        self._settle(burn_in=BURN_IN if batch and remembers else 0)
        if self.window == 1 and not self.online and remembers:
            warnings.warn(
                "window=1 teaches a core with a state nothing about what to remember: use a longer window", stacklevel=3
            )
        self._objective = make_objective(
            self.objective, encoder.has_goal, self.match_widths, self.signals, encoder.observation_size
        )
        if self.curiosity:
            self._objective = with_curiosity(self._objective, self.curiosity, self._what_is_curious())
        if self.weight_range is not None:
            for parameter in learned((*self.policy.parameters(), *self.world_model.parameters())):
                nn.init.uniform_(parameter, -self.weight_range, self.weight_range)
        self._setup_optimizers()
        self.exploring, self._warned = True, False
        self._setup_lanes()

    def _setup_policy(self, vision: dict[str, Any] | None) -> None:
        """Builds C, and the eye that it shares with M and V."""
        self.policy = self.policy_class(
            self.observation_space,
            self.action_space,
            goal_input=self.goal_input,
            core=self.core,
            core_kwargs=self.core_kwargs,
            scaled=self.scaled,
            probabilistic=self.probabilistic,
            vision=vision,
            device=self.device,
        ).to(self.device)
        self.encoder.eye = self.policy.eye
        draws = self.policy.actions.probabilistic
        if not draws and (self.ent_coef or self.gradient in ("mixed", "reinforce")):
            raise ValueError(f"gradient={self.gradient!r} and ent_coef need actions that are drawn: probabilistic=True")

    def _setup_models(self) -> None:
        """Builds M and V."""
        encoder = self.encoder
        kind = MODELS.get(self.model_class or "WorldModel", self.model_class)
        refuse_unknown(kind, self.model_kwargs or {})
        refuse_unknown(Evaluator, self.evaluator_kwargs or {})
        self.world_model = kind(
            encoder,
            self.policy.actions.size,
            output=self.model_output,
            reward=not encoder.has_goal,
            terminated=not encoder.has_goal,
            signals=len(signal_keys(self.signals)),
            core=self.model_core,
            core_kwargs=self.model_core_kwargs,
            scale=self.policy.scale,
            actions=self.policy.actions,
            **(self.model_kwargs or {}),
        ).to(self.device)
        unknown = (self.head_weights or {}).keys() - self.world_model.heads.keys()
        if unknown:
            raise ValueError(f"head_weights must name heads of M, {[*self.world_model.heads]}, not {sorted(unknown)}")
        memory_size = self.world_model.memory_size
        self.value_net = Evaluator(encoder, memory_size, **(self.evaluator_kwargs or {})).to(self.device)

    def _setup_optimizers(self) -> None:
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[self.optimizer]
        nets = (self.policy, self.world_model, self.value_net.fast)
        self.policy_optimizer, self.model_optimizer, self.value_optimizer = (
            kind(learned(net.parameters()), lr=rate, fused=True) for net, rate in zip(nets, self._rates(), strict=True)
        )
        if self.optimizer == "adam":
            self.policy_optimizer.param_groups[0]["eps"] = self.adam_eps

    def _settle(self, **choices: Any) -> None:
        """Sets what was left open, so that what was decided is what is saved."""
        for name, choice in choices.items():
            if getattr(self, name) is None:
                setattr(self, name, choice)

    def _setup_lanes(self) -> None:
        settings = {name: getattr(self, name) for name in NEEDED}
        optimizers = self.policy_optimizer, self.model_optimizer
        self.compiled_descent = online_descent(self.policy, self.world_model, optimizers, settings, self.compiled)
        parts: dict[str, Core | WorldModel] = {"controller_state": self.policy.core, "model_state": self.world_model}
        self.core_states = tuple(part.initial_state(self.lanes) for part in parts.values())
        signals = len(signal_keys(self.signals))
        least = max(2 * (self.burn_in + self.window), self.n_steps or 0)
        capacity = max(least, self.buffer_size // self.lanes)
        sizes = self.encoder, parts, self.policy.actions.size, self.lanes
        try:
            self.replay = Experience(*sizes, capacity, self.device, signals)
        except RuntimeError as error:  # of PyTorch's allocator
            width = Experience(*sizes, 1, self.device, signals).data.numel() // self.lanes
            raise ValueError(
                f"a replay of {capacity * self.lanes:,} steps of {4 * width:,} bytes does not fit into memory: give a "
                "smaller buffer_size"
            ) from error
        self.exploration = Exploration(self.policy.actions, self.lanes, self.device)
        self.album = Album()

    def check_workers(self) -> None:
        """See `Agent.check_workers`."""
        super().check_workers()
        if self.online or self.n_steps is None:
            raise ValueError(
                "workers average their gradients, so each must take as many updates: leave online=False, and n_steps a "
                "number"
            )

    def rollout_length(self) -> int | None:
        """`n_steps`."""
        return self.n_steps

    def train(self, steps: int) -> None:
        """Trains M to predict, C through M, and V to predict C's returns."""
        updates = self.updates
        if self._sees_first_time():
            if self.exploring and self.num_timesteps < self.model_steps:
                return
            (kept,) = largest([torch.tensor(len(self.album))])
            updates *= -(-int(kept) // steps)  # those that were put off
            steps = self._open_eye()
        learns_model = self.exploring or self.schedule == "alternating"
        imagined = partial(unrolled_in_model, gradient=self.gradient)
        unroll = unrolled_along_reality if self.gradient == "real" else imagined
        if self.compiled_descent is not None:
            unroll = unrolled_by_others
        self._take_scales(steps)
        self._warn_of_long_windows()
        for sequence, recent in self._minibatches(steps, updates):
            if learns_model:
                self._learn_model(sequence)
            if self.exploring and not self.evaluator:
                continue
            states, window = self._begun(recent), recent[self.burn_in :]
            if self.gradient != "real":
                exchange_goals(window[1:]["desired_goal"], self.exchange)
            unrolled = unroll(self.policy, self.world_model, window, self.window, states)
            returns, weights = self._returns.of(unrolled)
            if not self.exploring:
                self._learn_controller(unrolled, returns, weights)
            if self.evaluator:
                self._learn_evaluator(window, unrolled, returns.detach(), weights)
            self.measures["train/return"] = returns.mean().detach()
        for optimizer, rate in zip(self._optimizers(), self._rates(), strict=True):
            optimizer.param_groups[0]["lr"] = rate

    def _what_is_curious(self) -> str:
        """What M says of imagined steps that tells how much is to be learned there."""
        if self.gradient == "real":
            raise ValueError('curiosity is climbed in imagination: use gradient="imagined", "mixed" or "reinforce"')
        if getattr(self.world_model, "disagrees", False):
            return "disagreement"
        if "error" in self.world_model.heads:
            return "error"
        raise ValueError(
            'curiosity needs model_class="Ensemble" with a core that has no state, or model_kwargs={"error": True}'
        )

    def _warn_of_long_windows(self) -> None:
        """Warns, once, where random moves are over and no window will ever fit into the steps of this training."""
        length = self.burn_in + self.window + (self.gradient != "real")
        steps = len(self.replay) + max(0, self._total_timesteps - self.num_timesteps) // self.lanes
        if self.exploring or self.online or self._warned or steps >= length:
            return
        self._warned = True
        warnings.warn(
            f"nothing is learned: a window takes {length} steps a lane, burn_in={self.burn_in} and "
            f"window={self.window} together, and there will be {steps}: use a shorter window, or train longer",
            stacklevel=3,
        )

    def _sees_first_time(self) -> bool:
        """Whether there is an eye that has not learned yet."""
        return self.encoder.eye is not None and not self.encoder.eye.seen

    def _open_eye(self) -> int:
        """The eye learns, and what was recorded is written anew with its codes; returns the number of steps."""
        eye = cast(Vision, self.encoder.eye)
        self.measures["train/vision_loss"] = eye.learn(self.album.images(self.encoder))
        self.album.write(self.encoder, self.replay)
        self.album = Album()
        return len(self.replay)

    def _learn_model(self, sequence: Sequence) -> None:
        """M descends 1/2 |M(x, a) - x'|^2: its mean over a window or, online, that of each step in turn."""
        if self.compiled_descent is not None:
            self.measures["train/model_loss"] = self.compiled_descent.learn_model(sequence)
            return
        model = self.world_model
        fresh = model.initial_state(sequence.data.shape[1]) if self.burn_in else None
        for part in sequence.rows() if self.online else (sequence[: self.burn_in + self.window],):
            losses = model.losses(part, fresh, self.burn_in)
            loss = torch.stack([(self.head_weights or {}).get(name, 1.0) * own for name, own in losses.items()]).sum()
            check_losses(self.num_timesteps, model_loss=loss)
            descend(self.model_optimizer, loss)
        self.measures["train/model_loss"] = loss.detach()
        if len(losses) > 1:
            self.measures |= {f"train/model_{name}_loss": own.detach() for name, own in losses.items()}

    def _take_scales(self, steps: int) -> None:
        """The scales take in the newest steps."""
        if not self.policy.scale.fixed:
            self.policy.scale.take(self.replay.newest(steps))

    def _begun(self, sequence: Sequence) -> States | None:
        """States of C's and M's cores after `burn_in` steps, and the one before imagination; None: as recorded."""
        if not self.burn_in:
            return None
        return warmed(self.policy, self.world_model, sequence[: self.burn_in + (self.gradient != "real")])

    def _learn_controller(self, unrolled: Unrolled, returns: Tensor, weights: Tensor | None) -> None:
        """C descends -mean w G + e / 2B sum |net|^2: returns G, weights w, and the weight e of `saturation`."""
        gain = self._gain(unrolled, returns)
        loss = -(gain if weights is None else weights * gain).mean()
        if self.compiled_descent is not None:
            slopes = torch.autograd.grad(loss, unrolled.outputs)
            self.compiled_descent.learn_controller(cast(Sequence, unrolled.trajectory), *slopes)
            return
        if self.saturation:
            nets = cast(Dream, unrolled.dream).nets.flatten()
            penalty = 0.5 * self.saturation / returns.shape[1] * torch.dot(nets, nets)
            self.measures["train/saturation_loss"] = penalty.detach()
            loss = loss + penalty
        check_losses(self.num_timesteps, controller_loss=loss)
        descend(self.policy_optimizer, loss, self.max_grad_norm)

    def _gain(self, unrolled: Unrolled, returns: Tensor) -> Tensor:
        """What C ascends (T, B): returns G with their gradient, log p (G - V), or the mean of both; and the entropy."""
        gain = returns
        if self.gradient in ("mixed", "reinforce"):
            scored = cast(Dream, unrolled.dream).scores * self._returns.advantages(unrolled, returns)
            gain = scored if self.gradient == "reinforce" else 0.5 * (returns + scored)
        if self.ent_coef:
            gain = gain + self.ent_coef * cast(Dream, unrolled.dream).entropies
        return gain

    def _learn_evaluator(self, window: Sequence, unrolled: Unrolled, returns: Tensor, weights: Tensor | None) -> None:
        """V descends 1/2 w (V - G)^2; if trajectories are imagined, half of it on what M predicted for their starts."""
        trajectory, memory = unrolled.trajectory, unrolled.memory
        observation, desired = trajectory["observation"], trajectory["desired_goal"]
        loss = self.value_net.loss(observation, memory, desired, returns, 1.0 if weights is None else weights)
        if self.gradient != "real" and not self.world_model.memory_size:
            expected, known = self.world_model.expected(window[:1])
            loss = 0.5 * (loss + self.value_net.loss(expected, memory[:1], desired[:1], returns[:1], known))
        check_losses(self.num_timesteps, evaluator_loss=loss)
        descend(self.value_optimizer, loss)
        self.value_net.follow()
        self.measures["train/evaluator_loss"] = loss.detach()

    def _minibatches(self, steps: int, updates: int) -> Iterator[tuple[Sequence, Sequence]]:
        """Experience for M, and what C learns from: the same to imagine from, or recent trajectories of C's own."""
        if self.online:
            newest = self.policy.scale.scaled(self.replay.newest(steps))
            yield newest, newest
            return
        real = self.gradient == "real"
        length = self.burn_in + self.window + (not real)  # imagination starts after a first step
        for _ in range(updates if all_agree(len(self.replay) >= length) else 0):
            sequence = self.policy.scale.scaled(self.replay.windows(length, self.batch_size, ends=self.end_share))
            recent = sequence
            if real:
                recent = self.policy.scale.scaled(self.replay.windows(length, self.batch_size, max(steps, length)))
            yield sequence, recent

    @property
    def _returns(self) -> Returns:
        """What the settings at hand make of trajectories."""
        return Returns(
            self.world_model,
            self.value_net if self.evaluator else None,
            self._objective,
            self.gamma,
            self.td_lambda,
            terminal=self.error == "terminal",
            follows=self.encoder.has_goal if self.bootstrap_at_end is None else self.bootstrap_at_end,
            imagined=self.gradient != "real",
        )

    def planner(self, **keywords: Any) -> Planner:
        """A policy that looks ahead in M before it acts; keywords: horizon, candidates and spread of `Planner`."""
        return Planner(self.policy, self._returns, **keywords)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        plan: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions of C, see Stable-Baselines3; with `plan` improved by a look ahead in M, whose state is another."""
        actor = self.planner() if plan else self.policy
        return actor.predict(observation, state, episode_start, deterministic)

    def dream(self, num_envs: int = 1, horizon: int = HORIZON, **keywords: Any) -> DreamVectorEnv:
        """M as a vector environment, whose episodes begin at steps of the replay; keywords: see `DreamVectorEnv`."""
        settings = {"burn_in": self.burn_in, **keywords}
        return DreamVectorEnv(self.world_model, self.replay, self._objective, num_envs, horizon, **settings)

    def begin_rollout(self) -> None:
        """Checks that values which the encoder treats as equal are equal, and warns of very large ones."""
        scale = self.policy.scale
        if scale.observations:
            scale.check(self.encoder.observation(self._last_obs))
        else:
            self.encoder.check(self._last_obs)

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """Actions of C plus noise, or random ones during the first `model_steps`; see `Agent.act`."""
        policy = self.policy
        observation, desired = self.encoder.observation(obs), self.encoder.desired(obs)
        seen = policy.scale(observation)
        controller_state, model_state = self.core_states
        self.exploring = self.num_timesteps < self.model_steps
        if self.exploring:
            action = self.exploration.uniform(episode_start, self.persistence)
        else:
            net, controller_state = policy.net(seen, desired, controller_state, episode_start)
            settings = self.noise, self.persistence, self.random_share
            action = self.exploration.around(net, episode_start, *settings)
        if model_state:
            model_state = self.world_model.step(seen, action, model_state, episode_start)[1]
        act = {"observation": observation, "desired_goal": desired, "action": action}
        if self._sees_first_time():
            act["obs"] = obs
        return policy.actions.to_env(action), act, (controller_state, model_state)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`."""
        outcome = {"reward": step.rewards, "terminated": step.terminated, "ended": step.ends}
        act = {**step.act, "episode_start": step.episode_start}
        if told := signal_keys(self.signals):
            outcome["signals"] = signals_in(step.infos, told)
        self.replay.record(act, self.core_states, self.encoder.percept(step.next_obs), **outcome)
        if "obs" in step.act:
            self.album.add(step.act["obs"], step.next_obs)

    def _optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.policy_optimizer, self.model_optimizer, self.value_optimizer

    def _rates(self) -> tuple[float, float, float]:
        """Current learning rates of C, M and V."""
        left = max(0.0, self._current_progress_remaining)  # the last rollout may overshoot the budget
        share = self.final_rate + (1 - self.final_rate) * left
        return (
            share * self.lr_schedule(left),
            share * self.model_learning_rate,
            share * self.evaluator_learning_rate,
        )

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        optimizers = ["policy_optimizer", "model_optimizer", "value_optimizer"]
        return ["policy", "world_model", "value_net", *optimizers], []
