"""RLlib: `RecurrentPolicy` as one of its modules, PPO with it on any number of machines, and weights both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import FloatSchedule
from torch import Tensor

from ..common.sequences import each
from ..cores.ops.checks import constructor_keywords
from ..ppo.policy import RecurrentPolicy
from ..ppo.recurrent_ppo import RecurrentPPO

try:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.distribution.torch.torch_distribution import (
        TorchCategorical,
        TorchDiagGaussian,
        TorchMultiCategorical,
    )
    from ray.rllib.core.rl_module.apis import ValueFunctionAPI
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.core.rl_module.torch import TorchRLModule
except ImportError as error:
    raise ImportError(
        "agents.adapters.rllib needs RLlib, which pins Gymnasium, so give it an environment of its own: "
        "pip install 'foveal-envs[agents,rllib]'"
    ) from error

MODULE = "default_policy"  # RLlib's name of the only module


class RecurrentModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """A `RecurrentPolicy`, the attribute ``policy``, with any core and its observations as they are.

    ``model_config`` holds keywords of `RecurrentPolicy`; RLlib's own settings there are passed over. Actions are those
    of the environment: leave ``normalize_actions`` off.

    Raises:
        ValueError: actions that are neither Box, nor Discrete or MultiDiscrete that count from 0.
    """

    def setup(self) -> None:
        """Builds the policy; called by RLlib."""
        space = self.action_space
        _check_actions(space)
        if isinstance(space, spaces.MultiDiscrete):
            self.action_dist_cls = TorchMultiCategorical.get_partial_dist_cls(
                space=space, input_lens=tuple(map(int, space.nvec))
            )
        elif isinstance(space, spaces.Discrete):
            self.action_dist_cls = TorchCategorical
        else:
            self.action_dist_cls = TorchDiagGaussian
        known = set(constructor_keywords(RecurrentPolicy)) - {"observation_space", "action_space", "lr_schedule"}
        own = {name: value for name, value in self.model_config.items() if name in known}
        self.policy = RecurrentPolicy(self.observation_space, space, **own)

    def get_initial_state(self) -> dict[str, np.ndarray]:
        """The core's state at the start of an episode, without an axis of lanes."""
        return {str(number): part[0].numpy() for number, part in enumerate(self.policy.core.initial_state(1))}

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """V (B, T), or (B,) where the core has no state."""
        h = self._hidden(batch)[0] if embeddings is None else embeddings
        value: Tensor = self.policy.value_net(self.policy.critic(h))
        return value.squeeze(-1)

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        outputs = self._forward_train(batch)
        del outputs[Columns.EMBEDDINGS]  # which a runner would record
        return outputs

    def _forward_train(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        h, state = self._hidden(batch)
        net = self.policy.action_net(self.policy.actor(h))
        if isinstance(self.action_space, spaces.Box):
            net = torch.cat((net, self.policy.log_std.expand_as(net)), -1)
        kept = {Columns.STATE_OUT: state} if state else {}
        return {Columns.ACTION_DIST_INPUTS: net, Columns.EMBEDDINGS: h, **kept}

    def _hidden(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """h (B, T, H), or (B, H) of a core without a state, and the states after the last step."""
        policy, obs, state = self.policy, batch[Columns.OBS], batch.get(Columns.STATE_IN) or {}
        given = tuple(state[name] for name in sorted(state, key=int))
        if not given:
            features = policy.extract_features(obs, policy.features_extractor)
            none = torch.zeros(len(features), dtype=torch.bool, device=features.device)
            return policy.core.step(policy.encoder(features), (), none)[0], {}
        first = next(iter(obs.values())) if isinstance(obs, Mapping) else obs
        lanes, steps = first.shape[:2]
        features = policy.extract_features(each(obs, lambda part: part.flatten(0, 1)), policy.features_extractor)
        x = policy.encoder(features).unflatten(0, (lanes, steps)).transpose(0, 1)
        # RLlib cuts sequences where episodes end, and begins each episode with the initial state.
        none = torch.zeros(steps, lanes, dtype=torch.bool, device=x.device)
        h, after = policy.core(x, given, none)
        return h.transpose(0, 1), {str(number): part for number, part in enumerate(after)}


class Learner(PPOTorchLearner):  # type: ignore[misc]
    """RLlib's PPO with the Adam of `RecurrentPPO`, whose epsilon of 1e-5 counts once gradients are clipped."""

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Makes the optimizer of a module; called by RLlib."""
        parameters = self.get_parameters(self._module[module_id])
        adam = torch.optim.Adam(parameters, eps=1e-5)
        self.register_optimizer(module_id=module_id, optimizer=adam, params=parameters, lr_or_lr_schedule=config.lr)


def _check_actions(space: spaces.Space[Any]) -> None:
    """Raises ValueError for actions that RLlib does not draw, or draws from 0 on where they begin elsewhere."""
    kinds = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete)
    if not isinstance(space, kinds) or np.any(getattr(space, "start", 0)):
        raise ValueError(f"the action space must be Box, or Discrete or MultiDiscrete from 0 on, got {space}")


def ppo_config(
    agent: RecurrentPPO,
    env_id: str,
    env_config: Mapping[str, Any] | None = None,
    *,
    runners: int = 0,
    learners: int = 0,
    total_timesteps: int | None = None,
) -> PPOConfig:
    """RLlib's PPO with the settings of a local agent: net, losses, and rollouts, however many processes share them.

    Args:
        agent: as it would be trained here.
        env_id: "module:id", so that every node imports the module that registers it.
        env_config: keywords of the environment.
        runners: processes that play, which share the agent's lanes; 0: the driver plays.
        learners: processes that learn, which share a rollout; 0: the driver learns.
        total_timesteps: over which a learning rate falls that is a schedule; None: it stays as it begins.

    Raises:
        ValueError: the agent has a policy or a loss of its own, which RLlib knows nothing of; or its lanes cannot be
            shared evenly.
    """
    if type(agent) is not RecurrentPPO or type(agent.policy) is not RecurrentPolicy:
        raise ValueError(f"RLlib's PPO has the loss of RecurrentPPO with RecurrentPolicy, not that of {agent.policy}")
    unlike = {"bptt": "full", "target_kl": None, "normalize_advantage": True, "workers": 1}
    for name, only in unlike.items():
        if getattr(agent, name) != only:
            raise ValueError(f"RLlib's PPO has no {name}={getattr(agent, name)!r}: leave it at {only!r}")
    clip = FloatSchedule(agent.clip_range)
    if clip(1.0) != clip(0.0):
        raise ValueError("RLlib's PPO has no schedule of clip_range: give a number")
    _check_actions(agent.action_space)
    for name, count in (("runners", runners), ("learners", learners)):
        if count and agent.lanes % count:
            raise ValueError(f"{agent.lanes} lanes cannot be shared evenly by {count} {name}")
    batch = agent.lanes * agent.n_steps // max(1, learners)
    rate, own_id = agent.lr_schedule, env_id.rpartition(":")[2]
    points = [[total_timesteps * tenth // 10, rate(1 - tenth / 10)] for tenth in range(11)] if total_timesteps else []
    config = PPOConfig().environment(
        env_id, env_config=dict(env_config or {}), normalize_actions=False, clip_actions=True
    )
    config.env_runners(
        num_env_runners=runners,
        num_envs_per_env_runner=agent.lanes // max(1, runners),
        gym_env_vectorize_mode="vector_entry_point" if gym.spec(own_id).vector_entry_point else "sync",
        rollout_fragment_length=agent.n_steps,
    )
    config.learners(num_learners=learners)
    config.training(
        learner_class=Learner,
        train_batch_size_per_learner=batch,
        minibatch_size=max(agent.n_steps, batch // agent.minibatches),
        num_epochs=agent.n_epochs,
        lr=points if len({value for _, value in points}) > 1 else rate(1.0),
        gamma=agent.gamma,
        lambda_=agent.gae_lambda,
        clip_param=clip(1.0),
        vf_clip_param=float("inf"),
        vf_loss_coeff=agent.vf_coef,
        entropy_coeff=agent.ent_coef,
        use_kl_loss=False,
        grad_clip=agent.max_grad_norm,
        grad_clip_by="global_norm",
    )
    net = {"core": agent.core, "core_kwargs": agent.core_kwargs, **agent.policy_kwargs}
    config.rl_module(
        rl_module_spec=RLModuleSpec(module_class=RecurrentModule, model_config={**net, "max_seq_len": agent.n_steps})
    )
    return config.debugging(seed=agent.seed)


def to_rllib(agent: RecurrentPPO, algorithm: Any) -> None:
    """Gives an RLlib algorithm, its learners and its runners, the parameters of a local agent."""
    own = {f"policy.{name}": part.cpu().numpy() for name, part in agent.policy.state_dict().items()}
    algorithm.learner_group.set_weights({MODULE: own})
    algorithm.env_runner_group.sync_weights(from_worker_or_learner_group=algorithm.learner_group)


def to_local(algorithm: Any, agent: RecurrentPPO) -> None:
    """Gives a local agent the parameters that an RLlib algorithm has learned."""
    learned = algorithm.learner_group.get_weights()[MODULE]
    own = {name.removeprefix("policy."): torch.as_tensor(np.array(part)) for name, part in learned.items()}
    agent.policy.load_state_dict(own)
