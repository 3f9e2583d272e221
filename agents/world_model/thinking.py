"""A controller that asks its world model, and acts by attention over the answers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor, nn

from ..common.actor import Actor
from ..common.agent import Agent, Step
from ..common.encoder import Encoder
from ..common.keywords import check_keywords
from ..common.losses import check_losses, descend, lambda_returns
from ..common.sequences import Replay, Sequence
from ..cores import FeedForward, State


class ThinkingPolicy(Actor):
    """M and C: C asks M what would follow some actions, and takes one of them.

    A question is an action q (A,), one of many; M's answer is the predicted achieved goal o = M(x, q), and the pleasure
    p = P(o, d) that it predicts from that and the desired goal d. C attends to its own questions,

    alpha = softmax_k f(o_k, p_k, d),  pi(a) = sum_k alpha_k q_k(a),

    and knows nothing about the actions but what M answers. Learned questions are drawn one after the other from
    g(x, d, questions and answers so far).

    Args:
        observation_space: Dict of Boxes with the goal keys.
        action_space: Discrete.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        questions: number of questions; None: one for each action.
        learned: whether C makes its questions; else they are the first actions.
        asks: whether C asks at all; else it is a net from (x, d) to actions, for comparison.
        hidden: units of every net's hidden layers, a tuple of whole numbers.

    Raises:
        ValueError: other spaces, or more fixed questions than actions.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        questions: int | None = None,
        learned: bool = False,
        asks: bool = True,
        hidden: Any = (64, 64),
    ) -> None:
        super().__init__(observation_space, action_space)
        self.encoder = encoder = Encoder(observation_space, share=False)  # M predicts the goal, never the observation
        if not encoder.has_goal or not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"it needs goal keys and Discrete actions, not {observation_space} and {action_space}")
        check_keywords(ThinkingPolicy, {"questions": questions, "learned": learned, "asks": asks})
        if not isinstance(hidden, tuple | list) or not all(isinstance(width, int | np.integer) for width in hidden):
            raise ValueError(f"hidden must be a tuple of whole numbers, not {hidden!r}")
        self.choices = int(action_space.n)
        self.questions = self.choices if questions is None else questions
        self.learned, self.asks = learned, asks
        if self.questions < 1 or (self.questions > self.choices and not learned):
            raise ValueError(f"questions must be from 1 to the {self.choices} actions, not {questions}")
        seen, goal, answer = encoder.observation_size, encoder.goal_size, encoder.goal_size + 1

        def net(inputs: int, outputs: int) -> nn.Sequential:
            core = FeedForward(inputs, hidden)
            return nn.Sequential(core.layers, nn.Linear(core.output_size, outputs))

        self.outcome = net(seen + self.choices, goal)
        self.pleasure = net(2 * goal, 1)
        self.value = net(seen + goal, 1)
        if asks:
            self.attention = net(answer + goal, 1)
        else:
            self.reaction = net(seen + goal, self.choices)
        if asks and learned:
            self.asking = net(seen + goal + self.questions * (self.choices + answer), self.choices)

    @torch.no_grad()
    def answers(self, seen: Tensor, desired: Tensor, question: Tensor) -> Tensor:
        """M's answers (..., G + 1): the predicted achieved goal, and the predicted pleasure; C does not change them."""
        outcome = self.outcome(torch.cat((seen, question), -1))
        return torch.cat((outcome, self.pleasure(torch.cat((outcome, desired), -1))), -1)

    def think(self, seen: Tensor, desired: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Questions (N, K, A) that C asks, M's answers (N, K, G + 1), and the log-probability (N,) of the questions.

        Args:
            seen: (N, D).
            desired: (N, G).
            given: (N, K, A) questions that were drawn before; None: new ones.
        """
        count, many = len(seen), self.questions
        if not self.learned:
            asked = torch.eye(self.choices, device=seen.device)[:many].expand(count, -1, -1)
            seen, desired = (part[:, None].expand(-1, many, -1) for part in (seen, desired))
            return asked, self.answers(seen, desired, asked), seen.new_zeros(count)
        dialogue = seen.new_zeros(count, many, self.choices + self.encoder.goal_size + 1)  # questions, answers
        chances = []
        for k in range(many):
            logits = self.asking(torch.cat((seen, desired, dialogue.flatten(1)), 1))
            if given is None:
                drawn = torch.multinomial(torch.softmax(logits, 1), 1).squeeze(1) if self.training else logits.argmax(1)
                asked = F.one_hot(drawn, self.choices).to(logits)
            else:
                asked = given[:, k]
            said = torch.cat((asked, self.answers(seen, desired, asked)), 1)
            dialogue = torch.cat((dialogue[:, :k], said[:, None], dialogue[:, k + 1 :]), 1)
            chances.append((torch.log_softmax(logits, 1) * asked).sum(1))
        return dialogue[..., : self.choices], dialogue[..., self.choices :], torch.stack(chances).sum(0)

    def probabilities(
        self, seen: Tensor, desired: Tensor, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(N, A) of the actions; differentiable. And the questions and their log-probability, see `think`."""
        if not self.asks:
            likely = torch.softmax(self.reaction(torch.cat((seen, desired), 1)), 1)
            return likely, likely[:, :0], seen.new_zeros(len(seen))
        asked, told, chance = self.think(seen, desired, given)
        wanted = desired[:, None].expand(-1, told.shape[1], -1)
        weights = torch.softmax(self.attention(torch.cat((told, wanted), -1)), 1)  # (N, K, 1)
        return (weights * asked).sum(1).clamp(min=1e-8), asked, chance

    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, Any]:
        """See `Actor.act`; the state is None."""
        likely, _, _ = self.probabilities(self.encoder.observation(obs), self.encoder.desired(obs))
        chosen = likely.argmax(1) if deterministic else torch.multinomial(likely, 1).squeeze(1)
        return chosen.numpy() + int(self.action_space.start), None  # type: ignore[attr-defined]


class ThinkingController(Agent):
    """Learning to think (Schmidhuber, arXiv 1511.09249): C learns to use M as it is, instead of planning step by step.

    M learns from all experience by its own loss, C by the gradient of its reward (REINFORCE with a baseline), which
    reaches its attention and the chances of its questions, and never M. As C knows the world through M's answers alone,
    what M learns later reaches C's actions at once: `learns="model"` lets M go on while C stays as it is, without any
    reward.

    Args:
        policy: "ThinkingPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id; goal keys, Discrete actions.
        questions, learned, asks: see `ThinkingPolicy`.
        learns: "both"; "model": only M's predictions of what follows, from random actions and without any reward.
        model_steps: environment steps at the start with random actions, from which only M learns.
        n_steps: steps per lane between updates.
        updates: minibatches from which M learns after each.
        batch_size: steps of a minibatch.
        buffer_size: of the replay, all lanes together.
        learning_rate: C's; a number or Stable-Baselines3's schedule.
        model_learning_rate: M's.
        ent_coef: weight of C's entropy.
        gamma: discount.
        policy_kwargs: other keywords of `ThinkingPolicy`.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        _init_setup_model: whether to build the nets at once.
    """

    STATE: ClassVar[tuple[str, ...]] = (*Agent.STATE, "replay")

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(
        ("ThinkingPolicy", "MultiInputPolicy"), ThinkingPolicy
    )
    policy: ThinkingPolicy
    action_space: spaces.Discrete

    def __init__(
        self,
        policy: str | type[ThinkingPolicy] = "ThinkingPolicy",
        env: GymEnv | str | None = None,
        *,
        questions: int | None = None,
        learned: bool = False,
        asks: bool = True,
        learns: Literal["both", "model"] = "both",
        model_steps: int = 0,
        n_steps: int = 1,
        updates: int = 4,
        batch_size: int = 128,
        buffer_size: int = 20_000,
        learning_rate: float = 3e-3,
        model_learning_rate: float = 3e-3,
        ent_coef: float = 0.01,
        gamma: float = 0.95,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy, env, learning_rate, policy_kwargs, seed=seed, device="cpu", verbose=verbose,
            stats_window_size=stats_window_size, tensorboard_log=tensorboard_log, support_multi_env=True,
            supported_action_spaces=(spaces.Discrete,),
        )  # fmt: skip
        self.questions, self.learned, self.asks = questions, learned, asks
        self.learns: str = learns
        self.model_steps = model_steps
        self.n_steps = n_steps
        self.updates = updates
        self.batch_size = batch_size
        self.buffer_size = buffer_size
        self.model_learning_rate = model_learning_rate
        self.ent_coef = ent_coef
        self.gamma = gamma
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space, self.action_space, questions=self.questions, learned=self.learned, asks=self.asks,
            **self.policy_kwargs,
        )  # fmt: skip
        policy = self.policy
        own = [part for name, part in policy.named_parameters() if not name.startswith(("outcome", "pleasure"))]
        self.model_optimizer = torch.optim.Adam(policy.outcome.parameters(), self.model_learning_rate)
        self.pleasure_optimizer = torch.optim.Adam(policy.pleasure.parameters(), self.model_learning_rate)
        self.policy_optimizer = torch.optim.Adam(own, self.lr_schedule(1.0))
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = ()
        encoder = self.policy.encoder
        goal = encoder.goal_size
        sizes = {"observation": encoder.observation_size, "action": self.policy.choices, "outcome": goal}
        sizes |= {"desired_goal": goal, "reward": 1, "ended": 1, "terminated": 1}
        if self.asks and self.learned:
            sizes["questions"] = self.policy.questions * self.policy.choices
        self.replay = Replay(sizes, self.lanes, max(1, self.buffer_size // self.lanes))

    def rollout_length(self) -> int:
        """`n_steps`."""
        return self.n_steps

    @property
    def exploring(self) -> bool:
        """Whether all actions are random, and only M learns."""
        return self.learns == "model" or self.num_timesteps < self.model_steps

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """See `Agent.act`."""
        policy = self.policy
        policy.set_training_mode(True)  # questions are drawn
        seen, desired = policy.encoder.observation(obs), policy.encoder.desired(obs)
        likely, asked, _ = policy.probabilities(seen, desired)
        if self.exploring:
            likely = torch.ones_like(likely)
        chosen = torch.multinomial(likely, 1).squeeze(1)
        noted = {"observation": seen, "desired_goal": desired, "action": F.one_hot(chosen, policy.choices).float()}
        if self.asks and self.learned:
            noted["questions"] = asked.flatten(1)
        return chosen.numpy() + int(self.action_space.start), noted, ()

    def remember(self, step: Step) -> None:
        """See `Agent.remember`."""
        encoder = self.policy.encoder
        outcome = encoder.percept(step.next_obs)[:, encoder.goal_slice]
        numbers = [torch.as_tensor(np.array(part), dtype=torch.float32)[:, None] for part in
                   (step.rewards, step.ends, step.terminated)]  # fmt: skip
        names = ("reward", "ended", "terminated")
        self.replay.add(outcome=outcome, **step.act, **dict(zip(names, numbers, strict=True)))

    def train(self, steps: int) -> None:
        """M descends |M(x, a) - o|^2 and |P(o, d) - r|^2, C ascends log pi(a) (G - V)."""
        for _ in range(self.updates):
            window = self.replay.windows(1, self.batch_size)[0:1]
            self._learn_model(window)
            if self.learns == "both":
                self._learn_pleasure(window)
        if not self.exploring:
            self.policy_optimizer.param_groups[0]["lr"] = self.lr_schedule(self._current_progress_remaining)
            self._learn_controller(self.replay.newest(steps))

    def _learn_model(self, window: Sequence) -> None:
        said = self.policy.outcome(torch.cat((window["observation"], window["action"]), -1))
        loss = (said - window["outcome"]).square().sum(-1).mean()
        check_losses(self.num_timesteps, model_loss=loss)
        descend(self.model_optimizer, loss)
        self.measures["train/model_loss"] = loss.detach()

    def _learn_pleasure(self, window: Sequence) -> None:
        said = self.policy.pleasure(torch.cat((window["outcome"], window["desired_goal"]), -1))
        loss = (said - window["reward"]).square().mean()
        check_losses(self.num_timesteps, pleasure_loss=loss)
        descend(self.pleasure_optimizer, loss)
        self.measures["train/pleasure_loss"] = loss.detach()

    def _learn_controller(self, rollout: Sequence) -> None:
        """C's step along a rollout of its own; M's parameters are not among those that change."""
        policy, seen, desired = self.policy, rollout["observation"], rollout["desired_goal"]
        shape = seen.shape[:2]
        given = None
        if "questions" in rollout.fields:
            given = rollout["questions"].flatten(0, 1).view(-1, policy.questions, policy.choices)
        likely, _, asking = policy.probabilities(seen.flatten(0, 1), desired.flatten(0, 1), given)
        likely = likely.view(*shape, -1)
        values = policy.value(torch.cat((seen, desired), -1)).squeeze(-1)
        rewards, ended = rollout["reward"].squeeze(-1), rollout.flag("ended")
        after = torch.cat((values[1:], values[-1:])).detach()  # of an episode cut by the rollout its own value
        discounts = self.gamma * (1 - rollout["terminated"].squeeze(-1))
        returns = lambda_returns(rewards, after, discounts, ended, 0.95)
        advantage = (returns - values).detach()
        chance = (likely * rollout["action"]).sum(-1)
        entropy = -(likely * likely.log()).sum(-1)
        scores = chance.log() + asking.view(shape)
        loss = -(scores * advantage + self.ent_coef * entropy).mean() + 0.5 * (values - returns).square().mean()
        check_losses(self.num_timesteps, controller_loss=loss)
        descend(self.policy_optimizer, loss, 1.0)
        self.measures |= {"train/return": returns.mean(), "train/entropy": entropy.mean().detach()}

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy_optimizer", "model_optimizer", "pleasure_optimizer"], []
