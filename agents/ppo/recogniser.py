"""An agent that looks and names: it learns saccades by PPO, and names from the labels given at episode ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from ..common.agent import Step
from ..common.distributions import ActionDistribution
from ..cores import State
from .policy import Obs, RecurrentPolicy
from .recurrent_ppo import RecurrentPPO

SHARPNESS = 5.0  # logit of a score of 1 in the recognition environments
UNKNOWN = -1


@dataclass(frozen=True)
class Glance:
    """Where to look next and what has been seen: a distribution of saccades (B, J), and logits of names (B, C)."""

    saccade: ActionDistribution
    logits: Tensor

    def get_actions(self, deterministic: bool = False) -> Tensor:
        """Saccades (B, J), sampled or the most likely."""
        return self.saccade.get_actions(deterministic)

    def mode(self) -> Tensor:
        """The most likely saccades (B, J)."""
        return self.saccade.mode()

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a) (B,) of saccades (B, J)."""
        return self.saccade.log_prob(actions)

    def entropy(self) -> Tensor | None:
        """Entropy (B,) of the saccades."""
        return self.saccade.entropy()


class RecognitionPolicy(RecurrentPolicy):
    """A `RecurrentPolicy` for saccades, plus p(class | h) = softmax(n(h)), n linear.

    The action is (saccade, scores). The score of a class is 1 minus a fifth of the gap between the largest logit and
    its own, at least -1, so five times the scores are logits.

    Args:
        observation_space: any that `RecurrentPolicy` accepts.
        action_space: one-dimensional Box (saccade, one score per class).
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        classes: C, the number of scores.
        options: the other keywords of `RecurrentPolicy`.

    Raises:
        ValueError: the action space has no room for the scores.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        classes: int,
        **options: Any,
    ) -> None:
        if not isinstance(action_space, spaces.Box) or not 1 < classes < action_space.shape[0]:
            raise ValueError(f"actions must be a Box of saccades and {classes} scores (at least 2), not {action_space}")
        jumps = spaces.Box(action_space.low[:-classes], action_space.high[:-classes])
        super().__init__(observation_space, jumps, **options)
        self.jumps, self.action_space = jumps, action_space
        self.namer = nn.Linear(self.core.output_size, classes)

    def to_env(self, actions: Tensor, distribution: ActionDistribution) -> np.ndarray:
        """Actions (B, J + C): clipped saccades (B, J), and the scores from the distribution's logits."""
        logits = cast(Glance, distribution).logits
        scores = ((logits - logits.amax(-1, keepdim=True)) / SHARPNESS + 1).clamp(min=-1)
        saccades = np.clip(actions.cpu().numpy(), self.jumps.low, self.jumps.high)
        return np.concatenate((saccades, scores.detach().cpu().numpy()), -1)

    def from_env(self, actions: np.ndarray) -> np.ndarray:
        """The saccades (B, J) of actions (B, J + C)."""
        return actions[:, : self.jumps.shape[0]]

    def evaluate_actions(
        self, obs: Obs, actions: Tensor, state: State, episode_start: Tensor, through_time: bool = True
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """See `RecurrentPolicy`; also returns the logits (T B, C)."""
        h = self.unroll(obs, state, episode_start, through_time)
        glance = self._distribution(h)
        return self._value(h), glance.log_prob(actions.flatten(0, 1)), glance.entropy(), glance.logits

    def _distribution(self, h: Tensor) -> Glance:
        logits = self.namer(h)
        return Glance(super()._distribution(h), logits)


class Recogniser(RecurrentPPO):
    """RecurrentPPO for saccades, plus `label_coef` times -log p(label | h(t)) at every step for the names.

    The hybrid of Mnih, Heess, Graves & Kavukcuoglu, "Recurrent models of visual attention" (2014): labels train core
    and encoder by exact gradients, and rewards train the saccades. The label of an episode is ``label`` in its final
    info; steps of episodes that are unfinished at the end of the rollout have none.

    Args:
        policy: "RecognitionPolicy" or a subclass.
        env: environment with actions (saccade, one score per class) and ``label`` in the final info, such as
            GlimpseClassification and SameDifferent.
        classes: C, the number of scores.
        label_coef: weight of the cross-entropy.
        policy_kwargs: other keywords of the policy.
        options: the keywords of `RecurrentPPO`. n_steps should be a multiple of an episode's moves.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(
        ("RecognitionPolicy", "MlpPolicy", "MultiInputPolicy"), RecognitionPolicy
    )

    def __init__(
        self,
        policy: str | type[RecognitionPolicy] = "RecognitionPolicy",
        env: Any = None,
        *,
        classes: int = 10,
        label_coef: float = 1.0,
        policy_kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.classes, self.label_coef = classes, label_coef
        super().__init__(policy, env, policy_kwargs={**(policy_kwargs or {}), "classes": classes}, **options)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`. An episode's label arrives at its end."""
        label = [info["label"] if end else UNKNOWN for info, end in zip(step.infos, step.ends, strict=True)]
        super().remember(step._replace(act={**step.act, "label": torch.tensor(label, device=self.device)}))

    def train(self, steps: int) -> None:
        """See `RecurrentPPO.train`; every step gets the label of its episode."""
        label, ended = self.rollout.fields["label"], self.rollout.fields["ended"]
        for t in reversed(range(steps - 1)):
            label[t] = torch.where(ended[t], label[t], label[t + 1])
        super().train(steps)

    def further_loss(self, batch: dict[str, Any], *more: Tensor) -> Tensor | float:
        """`label_coef` times the mean cross-entropy of the logits (T B, C) where the label is known."""
        (logits,), label = more, batch["label"].flatten()
        total = F.cross_entropy(logits, label, ignore_index=UNKNOWN, reduction="sum")
        loss: Tensor = self.label_coef * total / (label != UNKNOWN).sum().clamp(min=1)
        return loss
