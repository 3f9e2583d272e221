"""M of Ha & Schmidhuber (2018): a recurrent net that predicts the next code as a mixture of Gaussians."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor, nn

from ..common.losses import check_losses, descend
from ..cores import State, make_core
from ..cores.ops.checks import whole
from ..world_model.actions import make_actions
from .gaussians import Prediction, log_likelihood
from .recording import CodedRecording


@final
class MixtureModel(nn.Module):
    """p(z' | z, a, h): each of the K numbers of the next code has a mixture of Gaussians of its own.

    M of Ha & Schmidhuber, World Models, arXiv 1809.01999 (2018), appendix A.2: a mixture density network (Bishop 1994)
    on a recurrent core,

    h(t+1) = core(z(t), a(t); h(t)),  log p(z') = sum_j log sum_i pi_ij N(z'_j; mu_ij, sigma_ij),

    with pi = softmax(logits), all linear in h(t+1) without a layer `hidden`. As published: 422,368 parameters for
    CarRacing (`codes=32`, three actions, `core_kwargs={"size": 256}`, `ends=False`) and 1,678,785 for Doom
    (`codes=64`, one action, `core_kwargs={"size": 512}`, `restart_flag=True`).

    Args:
        codes: K.
        action_space: of the real environment: Box, Discrete or MultiDiscrete; choices are read one-hot.
        core: name in `CORES`.
        core_kwargs: keywords of the core.
        mixtures: Gaussians of each number.
        ends: whether a unit predicts that the episode ends.
        reward: whether a unit predicts the reward.
        restart_flag: whether M reads, beside z and a, 1 in an episode's first step and 0 in all others.
        hidden: units of a layer with tanh between core and mixture; it reads z(t), a(t) and h(t+1). 0: none, as
            published. What a step does to codes is far from linear, and a wider core would cost more.

    Attributes:
        codes: K.
        actions: how actions become vectors (B, A) that M reads.
        core: the recurrent part.

    Raises:
        ValueError: an impossible number, core or action space.
    """

    def __init__(
        self,
        codes: int,
        action_space: spaces.Space[Any],
        *,
        core: str = "lstm",
        core_kwargs: Mapping[str, Any] | None = None,
        mixtures: int = 5,
        ends: bool = True,
        reward: bool = False,
        restart_flag: bool = False,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        whole("codes", codes)
        whole("mixtures", mixtures)
        whole("hidden", hidden, 0)
        self.codes, self.mixtures = codes, mixtures
        self.ends, self.reward, self.restart_flag = ends, reward, restart_flag
        self.actions = make_actions(action_space)
        width = codes + self.actions.size + restart_flag
        self.core = make_core(core, width, **(core_kwargs or {}))
        self.hidden = nn.Linear(width + self.core.output_size, hidden) if hidden else None
        self.head = nn.Linear(hidden or self.core.output_size, 3 * codes * mixtures + ends + reward)

    def initial_state(self, batch_size: int) -> State:
        """State at an episode's start: a tuple of tensors (batch_size, ...)."""
        return self.core.initial_state(batch_size)

    def forward(
        self, codes: Tensor, vectors: Tensor, state: State, episode_start: Tensor
    ) -> tuple[Prediction, Tensor, State]:
        """Predictions of a sequence; see `step`, with a leading axis (T, B, ...) of all but the state."""
        read = self.inputs(codes, vectors, episode_start)
        output, state = self.core(read, state, episode_start)
        return self.named(self.units(read, output)), output, state

    def step(
        self, codes: Tensor, vectors: Tensor, state: State, episode_start: Tensor
    ) -> tuple[Prediction, Tensor, State]:
        """The prediction of one step.

        Args:
            codes: (B, K) z.
            vectors: (B, A) a, see `actions`.
            state: tuple of (B, ...), from `initial_state` or the last `step`.
            episode_start: (B,) bool, True in an episode's first step: the core then forgets its state.

        Returns:
            The prediction, the core's output h (B, H) after the step, and the next state.
        """
        read = self.inputs(codes, vectors, episode_start)
        output, state = self.core.step(read, state, episode_start)
        return self.named(self.units(read, output)), output, state

    def inputs(self, codes: Tensor, vectors: Tensor, episode_start: Tensor) -> Tensor:
        """What the core reads (..., D)."""
        flags = [episode_start.unsqueeze(-1).to(codes.dtype)] if self.restart_flag else []
        return torch.cat([codes, vectors, *flags], -1)

    def units(self, read: Tensor, output: Tensor) -> Tensor:
        """The head's units (..., U), from what the core has read (..., D) and its output (..., H)."""
        if self.hidden is not None:
            output = torch.tanh(self.hidden(torch.cat([read, output], -1)))
        units: Tensor = self.head(output)
        return units

    def named(self, units: Tensor) -> Prediction:
        """The head's units (..., U) by name."""
        width = self.codes * self.mixtures
        end = units[..., 3 * width] if self.ends else None
        reward = units[..., -1] if self.reward else None
        shape = (*units.shape[:-1], self.codes, self.mixtures)
        logits, means, log_deviations = (units[..., i * width : (i + 1) * width].reshape(shape) for i in range(3))
        return Prediction(logits, means, log_deviations, end, reward)

    def losses(
        self,
        codes: Tensor,
        vectors: Tensor,
        next_codes: Tensor,
        state: State,
        episode_start: Tensor,
        *,
        counted: Tensor | None = None,
        terminated: Tensor | None = None,
        rewards: Tensor | None = None,
        end_weight: float = 20.0,
    ) -> tuple[dict[str, Tensor], State]:
        """What `learn` adds up, each a mean over steps; differentiable.

        Args:
            codes: (T, B, K) z.
            vectors: (T, B, A) a.
            next_codes: (T, B, K) z'.
            state: before the first step.
            episode_start: (T, B) bool.
            counted: (T, B) bool, the steps that count; None: all.
            terminated: (T, B) bool, whether the step ends the episode; where M has a unit for it.
            rewards: (T, B), where M has a unit for it.
            end_weight: factor of the loss of ends, which are few; their probability stays calibrated.

        Returns:
            "codes", -log p(z') for each number of the code; where M has the unit "ends", `end_weight` times the cross
            entropy, and "reward", half the squared error; and the state after the last step.

        Raises:
            ValueError: M has a unit, and what it should predict is missing.
        """
        if (self.ends and terminated is None) or (self.reward and rewards is None):
            raise ValueError("losses needs `terminated` where M has a unit for ends, and `rewards` for rewards")
        said, _, state = self(codes, vectors, state, episode_start)
        weights = torch.ones(codes.shape[:2], device=codes.device) if counted is None else counted.to(codes.dtype)
        weights = weights / weights.sum().clamp(min=1)
        losses = {"codes": -(weights * log_likelihood(said, next_codes).mean(-1)).sum()}
        if said.end is not None and terminated is not None:
            entropy = F.binary_cross_entropy_with_logits(said.end, terminated.to(codes.dtype), reduction="none")
            losses["ends"] = end_weight * (weights * entropy).sum()
        if said.reward is not None and rewards is not None:
            losses["reward"] = 0.5 * (weights * (said.reward - rewards).square()).sum()
        return losses, state

    def learn(
        self,
        recording: CodedRecording,
        *,
        epochs: int = 20,
        batch_size: int = 100,
        window: int = 100,
        learning_rate: float = 1e-3,
        final_rate: float = 0.01,
        end_weight: float = 20.0,
        max_grad_norm: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> list[dict[str, float]]:
        """Learns from recorded episodes by Adam.

        Every epoch the episodes, in a new order, form `batch_size` streams. M reads them a window at a time, keeps its
        state from window to window, and the gradient goes back to the window's beginning. Codes are drawn anew each
        time from the mean and variance of V, so that M cannot learn the noise by heart.

        Args:
            recording: the episodes as codes.
            epochs: times that every step is seen.
            batch_size: streams; fewer where that leaves less than a window to each.
            window: steps of a minibatch.
            learning_rate: Adam's at the beginning; it falls exponentially.
            final_rate: share of the learning rate that is left at the end.
            end_weight: see `losses`.
            max_grad_norm: largest norm of a gradient.
            generator: of the order, the streams and the codes; None: PyTorch's own.

        Returns:
            For every epoch the mean of each of the `losses`, and their sum, "loss".

        Raises:
            ValueError: an impossible number, or codes of another size.
            FloatingPointError: a loss is not finite; that update has not changed the parameters.
        """
        for name, number in {"epochs": epochs, "batch_size": batch_size, "window": window}.items():
            whole(name, number)
        if len(recording) < 2:
            raise ValueError("learn needs at least two frames")
        if recording.mean.shape[1] != self.codes or recording.vectors.shape[1] != self.actions.size:
            found = recording.mean.shape[1], recording.vectors.shape[1]
            raise ValueError(f"M reads codes of {self.codes} and actions of {self.actions.size} numbers, not {found}")
        streams = max(1, min(batch_size, len(recording) // window))
        optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        history = []
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = learning_rate * final_rate ** (epoch / max(1, epochs - 1))
            sums: dict[str, float] = {}
            for share, losses in self._windows(recording, streams, window, end_weight, generator):
                check_losses(epoch * len(recording), **losses)
                descend(optimizer, torch.stack(list(losses.values())).sum(), max_grad_norm)
                for name, loss in losses.items():
                    sums[name] = sums.get(name, 0.0) + share * float(loss.detach())
            history.append({**sums, "loss": sum(sums.values())})
        return history

    def _windows(
        self,
        recording: CodedRecording,
        streams: int,
        window: int,
        end_weight: float,
        generator: torch.Generator | None,
    ) -> Iterator[tuple[float, dict[str, Tensor]]]:
        """Every step of a recording once: a window's share of the steps that count, and its losses."""
        rows, counted = recording.streams(streams, generator)
        state = self.initial_state(streams)
        for part, count in zip(torch.split(rows, window), torch.split(counted, window), strict=True):
            codes, following = recording.drawn(part, generator)
            losses, state = self.losses(
                codes,
                recording.vectors[part],
                following,
                tuple(tensor.detach() for tensor in state),
                recording.episode_start[part],
                counted=count,
                terminated=recording.terminated[part],
                rewards=recording.rewards[part],
                end_weight=end_weight,
            )
            yield float(count.sum() / counted.sum()), losses
