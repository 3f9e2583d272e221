"""The world model M, which predicts what follows an observation and an action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor, nn

from ..common.encoder import Encoder
from ..common.sequences import Sequence
from ..common.vision import Vision
from ..cores import State, make_core
from .actions import Actions, make_actions
from .episodes import read_episodes, read_images
from .fitting import fit_episodes
from .policy import ControllerPolicy
from .scale import Scale

Output = Literal["logistic", "linear", "residual"]
OUTPUTS = ("logistic", "linear", "residual")
States = tuple[State, State]  # of C's core and M's


def usual_output(encoder: Encoder) -> Output:
    """M's units where none are asked for: "logistic" where all observations lie in [0, 1], else "residual"."""
    return "logistic" if encoder.unit_range else "residual"


@dataclass(frozen=True)
class Dream:
    """A rollout of C in M, or along reality with M's Jacobian.

    Attributes:
        outputs: (T, B, ...) what M says follows each step; they carry the gradient.
        nets: (T, B, A) net inputs of C's outputs, those of variances left out.
        memories: (T, B, S) what M's core has read out of its state after each step, see `WorldModel.memory`.
        actions: (T, B, A) vectors of C's actions.
        scores: (T, B) log-probabilities of these, with the gradient in C; empty where they were not asked for.
        entropies: (T, B) of what they were drawn from; empty where actions are not drawn.
    """

    outputs: Tensor
    nets: Tensor
    memories: Tensor
    actions: Tensor
    scores: Tensor
    entropies: Tensor


class WorldModel(nn.Module):
    """One core with named heads: the next percept (observation and achieved goal, see `Encoder`), reward, and the end.

    One linear layer on the core computes all heads; `heads` has the slice of each in what M says. ``terminated`` is the
    logit of the probability p that the step ends the episode for good. The reward unit is linear, in units of its size
    (see `Scale`). If M predicts ends, there are two: r0 for steps after which the episode goes on, and r1 for its end;
    each learns from its own steps, and M expects (1 - p) r0 + p r1, both within the range of what was paid so far.
    Where only success or failure pays, the risk is thus all that must be learned; the small errors of a single unit
    would add up to a value that does not exist, and C would find it.

    The state is that of the core and its last output, through which the evaluator sees it.

    Args:
        encoder: gives the widths of observation, goal and percept.
        action_size: A.
        output: "logistic" (retina in [0, 1], as in 1990), "linear", or "residual" (linear units predict the change of
            the observation, in units of its spread; an achieved goal with units of its own is predicted directly).
        reward: whether to predict the reward.
        terminated: whether to predict the end.
        signals: number of pain and pleasure units that are not observed (FKI-126-90); a linear unit predicts each.
        error: whether M predicts its own error, the loss of the percept, by one more unit.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        scale: of the observations that it is given; None: fixed.
        actions: what its action vectors mean in the environment; None: it is used with vectors alone.
    """

    def __init__(
        self,
        encoder: Encoder,
        action_size: int,
        *,
        output: Output = "linear",
        reward: bool = True,
        terminated: bool = False,
        signals: int = 0,
        error: bool = False,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        scale: Scale | None = None,
        actions: Actions | None = None,
    ) -> None:
        super().__init__()
        self.actions = actions
        self.eye: Vision | None = None  # which a policy holds, unless M stands alone
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {OUTPUTS}, not {output!r}")
        self.encoder = encoder
        self.output = output
        self.scale = scale or Scale(encoder.observation_size, observations=False, rewards=False)
        self.core = make_core(core, encoder.observation_size + action_size, **(core_kwargs or {}))
        sizes = {"percept": encoder.percept_size, "reward": int(reward), "terminated": int(terminated)}
        sizes |= {"signals": signals, "error": int(error)}
        self.heads: dict[str, slice] = {}
        width = 0
        for name, size in sizes.items():
            if size:
                self.heads[name] = slice(width, width + size)
                width += size
        self._pays_at_end = reward and terminated
        self.head = nn.Linear(self.core.output_size, width + self._pays_at_end)
        self.memory_size = self.core.output_size if self.core.initial_state(1) else 0

    @classmethod
    def of(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        output: Output | None = None,
        scaled: bool | None = None,
        vision: bool = True,
        vision_kwargs: dict[str, Any] | None = None,
        device: torch.device | str = "cpu",
        **keywords: Any,
    ) -> WorldModel:
        """A world model without an agent, for the spaces of an environment; without goal keys it predicts the end, too.

        Args:
            observation_space: Box, or Dict of Boxes with or without the goal keys.
            action_space: Box, Discrete, or MultiDiscrete of one axis.
            output: None: "logistic" where all observations lie in [0, 1], else "residual".
            scaled: whether it learns the scales of the observations; None: without goals, if its units are residual.
            vision: whether images of at least 16 x 16 pixels are encoded by a `Vision`, which `fit` teaches first.
            vision_kwargs: its keywords.
            device: of the parameters.
            **keywords: of the constructor.

        Raises:
            ValueError: other spaces, or an unknown output.
        """
        sight = (vision_kwargs or {}) if vision else None
        encoder, actions = Encoder(observation_space, device=device, vision=sight), make_actions(action_space)
        output, has_goal = output or usual_output(encoder), encoder.has_goal
        scaled = output == "residual" and not has_goal if scaled is None else scaled
        settings = {"reward": not has_goal, "terminated": not has_goal, **keywords}
        scale = Scale(encoder.observation_size, scaled, rewards=not has_goal)
        model = cls(encoder, actions.size, output=output, scale=scale, actions=actions, **settings).to(device)
        model.eye = encoder.eye
        return model

    def fit(self, dataset: Iterable[Any], **keywords: Any) -> list[dict[str, float]]:
        """Learns from recorded episodes, without an environment.

        Args:
            dataset: episodes, objects or mappings with `observations` (T + 1, ...), or a dict of these, `actions`
                (T, ...), `rewards`, `terminations` and `truncations` (T,), as in a `minari.MinariDataset`.
            **keywords: of `fit_episodes`: epochs, batch_size, window, burn_in, learning_rate, held_out, seed.

        Returns:
            After every epoch, the loss of every head on the episodes held out, and their sum, "loss".

        Raises:
            ValueError: an episode that does not fit, named by its place, or fewer than two; nothing has been learned.
            FloatingPointError: a loss is not finite; that update has not changed the parameters.
        """
        if self.actions is None:
            raise ValueError("this world model does not know its action space: make it with WorldModel.of")
        episodes = list(dataset)
        read = read_episodes(episodes, self.encoder, self.actions)
        eye = self.encoder.eye
        if eye and not eye.seen:
            eye.learn(read_images(episodes, self.encoder), torch.Generator().manual_seed(keywords.get("seed", 0)))
            read = read_episodes(episodes, self.encoder, self.actions)
        return fit_episodes(self, read, **keywords)

    def initial_state(self, batch_size: int) -> State:
        """State at an episode's start, a tuple of (batch_size, ...): the core's and an output of zeros, or empty."""
        state = self.core.initial_state(batch_size)
        return (*state, self.head.weight.new_zeros(batch_size, self.memory_size)) if state else state

    def _heads(self, raw: Tensor, observation: Tensor) -> Tensor:
        """What M says (..., outputs) from its linear units (..., units)."""
        out = raw
        if self._pays_at_end:
            reward, risk = self.heads["reward"], torch.sigmoid(raw[..., self.heads["terminated"]])
            pay, last = self.scale.payable(raw[..., reward]), self.scale.payable(raw[..., -1:], at_end=True)
            out = torch.cat((raw[..., : reward.start], torch.lerp(pay, last, risk), raw[..., reward.stop : -1]), -1)
        if self.output == "linear":
            return out
        size = self.encoder.percept_size if self.output == "logistic" else self.encoder.observation_size
        if self.output == "logistic":
            part = torch.sigmoid(out[..., :size])
        else:
            change = out[..., :size]
            part = observation + (change * self.scale.change if self.scale.observations else change)
        return part if size == out.shape[-1] else torch.cat((part, out[..., size:]), -1)

    def memory(self, state: State, like: Tensor) -> Tensor:
        """The core's output (B, S) in a state, for V; (B, 0), as `like` (B, ...) is, where the core has no state."""
        return state[-1] if state else like[:, :0]

    def step(self, observation: Tensor, action: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One prediction (B, ...) by all heads, from (B, D), (B, A), state and (B,) bool; and the core's next state."""
        hidden, after = self.core.step(torch.cat((observation, action), -1), state[:-1], episode_start)
        return self._heads(self.head(hidden), observation), (*after, hidden) if state else after

    def observe(self, sequence: Sequence, state: State | None = None) -> Tensor:
        """Predictions (T, B, ...) along real experience, each from the real observation and action.

        Args:
            sequence: T steps.
            state: the core's before them; None: as it was recorded.
        """
        hidden, _ = self._run(sequence, state)
        return self._heads(self.head(hidden), sequence["observation"])

    def warm(self, sequence: Sequence, state: State) -> State:
        """The state after T real steps from `state` on."""
        return self._run(sequence, state)[1]

    def _run(self, sequence: Sequence, state: State | None) -> tuple[Tensor, State]:
        inputs = torch.cat((sequence["observation"], sequence["action"]), -1)
        if state is None:
            state = sequence.state("model_state", self.initial_state(inputs.shape[1]))
        hidden, after = self.core(inputs, state[:-1], sequence.flag("episode_start"))
        return hidden, (*after, hidden[-1]) if state else after

    def target(self, sequence: Sequence) -> Tensor:
        """The targets (T, B, ...) of `observe`, the end's being 0 or 1; M's own error has none."""
        known = (name for name in self.heads if name != "error")
        found = [sequence["next_percept" if name == "percept" else name] for name in known]
        return found[0] if len(found) == 1 else torch.cat(found, -1)

    def losses(self, sequence: Sequence, state: State | None = None, skipped: int = 0) -> dict[str, Tensor]:
        """The loss of every head, a mean over (T, B).

        Args:
            sequence: T real steps.
            state: see `observe`.
            skipped: first steps that do not count, as the core's state is not yet that of the episode.

        Returns:
            1/2 |prediction - target|^2 summed over the units, of changes in units of their spread; of the two reward
            units, that of the one whose step it was; the cross-entropy of the end. What the error's unit should say is
            the loss of the percept in that step.
        """
        raw = self.head(self._run(sequence, state)[0])
        target = self.target(sequence)[skipped:]
        error = self._heads(raw, sequence["observation"])[skipped:, :, : target.shape[-1]] - target
        raw, truth = raw[skipped:], sequence["terminated"][skipped:]
        losses = {}
        for name, part in self.heads.items():
            if name == "terminated":
                losses[name] = F.binary_cross_entropy_with_logits(raw[..., part], truth)  # a mean already
            elif name == "error":  # the last head
                losses[name] = 0.5 * (F.softplus(raw[..., part].squeeze(-1)) - losses["percept"].detach()).square()
            else:
                own = error[..., part]
                if name == "percept":
                    own = self.in_changes(own)
                elif name == "reward" and self._pays_at_end:
                    own = torch.where(truth > 0.5, raw[..., -1:], raw[..., part]) - sequence["reward"][skipped:]
                losses[name] = 0.5 * own.square().sum(-1)
        return {name: own.mean() for name, own in losses.items()}

    def loss(self, sequence: Sequence, state: State | None = None, skipped: int = 0) -> Tensor:
        """The sum of `losses`."""
        return torch.stack([*self.losses(sequence, state, skipped).values()]).sum()

    def in_changes(self, percept: Tensor) -> Tensor:
        """Differences of percepts (..., P), in units of the observation's change where M's units are."""
        return percept / self.scale.change if self.output == "residual" and self.scale.observations else percept

    def named(self, outputs: Tensor) -> dict[str, Tensor]:
        """What the heads say (T, B, ...), by name.

        Returns:
            observation in the environment's units, achieved_goal, reward (T, B), signals (T, B, n), and error (T, B),
            the loss of the percept that M expects.
        """
        encoder, scale = self.encoder, self.scale
        observation = outputs[..., : encoder.observation_size]
        named = {"observation": scale.mean + scale.spread * observation if scale.observations else observation}
        if encoder.has_goal:
            named["achieved_goal"] = outputs[..., encoder.goal_slice]
        if "reward" in self.heads:
            named["reward"] = outputs[..., self.heads["reward"]].squeeze(-1)
        if "signals" in self.heads:
            named["signals"] = outputs[..., self.heads["signals"]]
        if "error" in self.heads:
            named["error"] = F.softplus(outputs[..., self.heads["error"]]).squeeze(-1)
        return named

    def continues(self, outputs: Tensor) -> Tensor | None:
        """The probability (T, B) that each step does not end the episode; None: M does not predict it."""
        if "terminated" not in self.heads:
            return None
        return torch.sigmoid(-outputs[..., self.heads["terminated"]]).squeeze(-1)

    def imagine(
        self,
        policy: ControllerPolicy,
        start: Sequence,
        steps: int,
        states: States | None = None,
        gradient: str = "imagined",
    ) -> Dream:
        """A rollout of `policy` inside M, from the first step of `start`: x(t+1) = M(x(t), C(x(t))).

        Log-probabilities take what M says as given: their gradient does not pass through M.

        Args:
            policy: C.
            start: (T, B, ...), of which the first observation is taken.
            steps: length of the rollout.
            states: of C's and M's cores before it; None: as they were recorded.
            gradient: "imagined": the outputs carry C's gradient; "reinforce": the scores do; "mixed": both.
        """
        observation, goal = start["observation"][0], start["desired_goal"][0]
        start_flag = start.flag("episode_start")[0]
        controller_state, model_state = states or self._states(policy, start)
        outputs, nets, memories, actions, kinds = [], [], [], [], policy.actions
        given, scored = controller_state, []
        for _ in range(steps):
            seen = observation.detach() if gradient == "reinforce" else observation
            net, controller_state = policy.net(seen, goal, controller_state, start_flag)
            action = kinds.sample(net)
            if gradient == "reinforce":
                scored.append(net)
                action = action.detach()
            elif gradient == "mixed":
                alone, given = policy.net(observation.detach(), goal, given, start_flag)
                scored.append(alone)
            out, model_state = self.step(observation, action, model_state, start_flag)
            outputs.append(out)
            nets.append(net)
            actions.append(action)
            memories.append(self.memory(model_state, observation))
            observation = out[:, : self.encoder.observation_size]
            start_flag = torch.zeros_like(start_flag)
        return _dream(kinds, scored, outputs, nets, memories, actions)

    def memories_before(self, sequence: Sequence, dream: Dream, states: States | None = None) -> Tensor:
        """M's state (T, B, S) before each step of a dream from the first step of `sequence`; an episode's is fresh."""
        if not self.memory_size:
            return dream.memories
        like = self.initial_state(dream.memories.shape[1])
        first = states[1] if states else sequence.state("model_state", like)
        before = torch.cat((self.memory(first, dream.memories[0])[None], dream.memories[:-1])).detach()
        starts = torch.zeros_like(before[..., :1], dtype=torch.bool)
        known = min(len(starts), len(sequence))
        starts[:known] = sequence.flag("episode_start")[:known, :, None]
        return torch.where(starts, self.memory(like, dream.memories[0]), before)

    def imagined(self, start: Sequence, percepts: Tensor) -> dict[str, Tensor]:
        """The trajectory (T, B, ...) of percepts imagined from the first step of `start`, cut off at its end."""
        observations = percepts[:-1, :, : self.encoder.observation_size].detach()
        ended = torch.zeros_like(percepts[..., :1])
        return {
            "observation": torch.cat((start["observation"][:1], observations)),
            "desired_goal": start["desired_goal"][:1].expand(len(percepts), -1, -1),
            "terminated": ended,
            "ended": ended.index_fill(0, torch.tensor([len(ended) - 1], device=ended.device), 1.0),
        }

    @torch.no_grad()
    def expected(self, before: Sequence) -> tuple[Tensor, Tensor]:
        """The observation (1, B, D) predicted after the step `before`, and (1, B) 1 where it followed, else 0.

        The evaluator is queried on predictions, so it must agree there with its values of the real observations from
        which it learns. Otherwise what M blurs seems slightly too valuable at each step, and C learns to seek it.
        """
        return self.observe(before)[..., : self.encoder.observation_size], 1 - before["ended"].squeeze(-1)

    def real_forward(self, policy: ControllerPolicy, sequence: Sequence, states: States | None = None) -> Dream:
        """The real percepts, with the gradient through M and `policy`.

        Schmidhuber & Huber 1990: activations come from the real trajectory, and M provides only its Jacobian:
        x_next = x_real + M(x, a) - M(x, a).detach(), and likewise a = a_real + C(x) - C(x).detach(). Gradients do not
        cross the end of an episode. They are true for C only if C made the trajectory, up to noise of mean 0.
        """
        targets, real_actions, ended = self.target(sequence), sequence["action"], sequence.flag("ended")
        observations, desired = sequence["observation"], sequence["desired_goal"]
        starts = sequence.flag("episode_start")
        controller_state, model_state = states or self._states(policy, sequence)
        observation = observations[0]
        outputs, nets, memories, actions, kinds = [], [], [], [], policy.actions
        for t in range(len(sequence)):
            if t:
                observation = torch.where(ended[t - 1, :, None], observations[t], observation)
            net, controller_state = policy.net(observation, desired[t], controller_state, starts[t])
            action = kinds.passing(net, real_actions[t])
            out, model_state = self.step(observation, action, model_state, starts[t])
            known = out[..., : targets.shape[-1]]
            real = known + (targets[t] - known).detach()
            out = torch.cat((real, out[..., targets.shape[-1] :]), -1) if "error" in self.heads else real
            outputs.append(out)
            nets.append(net)
            actions.append(action)
            memories.append(self.memory(model_state, observation))
            observation = out[:, : self.encoder.observation_size]
        return _dream(kinds, [], outputs, nets, memories, actions)

    def _states(self, policy: ControllerPolicy, sequence: Sequence) -> States:
        batch_size = sequence.data.shape[1]
        return (
            sequence.state("controller_state", policy.core.initial_state(batch_size)),
            sequence.state("model_state", self.initial_state(batch_size)),
        )


def _dream(kinds: Actions, scored: list[Tensor], *parts: list[Tensor]) -> Dream:
    outputs, nets, memories, actions = map(torch.stack, parts)
    nothing = nets.new_empty(0)
    scores = kinds.log_probability(torch.stack(scored), actions) if scored else nothing
    entropies = kinds.entropy(nets) if kinds.probabilistic else nothing
    return Dream(outputs, nets[..., : kinds.size], memories, actions, scores, entropies)
