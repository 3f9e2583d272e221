"""The updates of 1990, compiled: plain gradient descent, for M after each step and for C after each trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, final

import numpy as np
import torch
from torch import Tensor, nn

from ..common.sequences import Sequence
from ..cores import Core, FeedForward
from ..cores.ops.compiled import as_array, compiled
from .model import WorldModel
from .policy import ControllerPolicy

NEEDED = {"online": True, "gradient": "real", "optimizer": "sgd", "max_grad_norm": None, "saturation": 0.0, "lanes": 1}
Layers = tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray
]  # weights (H, D), biases (H,); weights (K, H), biases (K,)


def online_descent(
    policy: ControllerPolicy,
    world_model: WorldModel,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    settings: Mapping[str, object],
    wanted: bool | None,
) -> OnlineDescent | None:
    """The compiled form of `WorldModelController`'s updates, or None if PyTorch is to make them.

    Args:
        policy, world_model, optimizers, settings: see `OnlineDescent`.
        wanted: True: the compiled form; False: None; None: the compiled form if nets and settings allow it.

    Raises:
        ValueError: `wanted` is True, but the nets or settings do not allow it; the message says which.
    """
    if wanted is False:
        return None
    try:
        return OnlineDescent(policy, world_model, optimizers, settings)
    except ValueError:
        if wanted:
            raise
        return None


@final
class OnlineDescent:
    """Gradient descent of `WorldModelController`, online and on one lane, for nets like those of 1990.

    C and M are logistic nets with one hidden layer, on the CPU. The compiled loops work on the parameters' own memory:
    nothing is copied, and the two forms may alternate. They agree up to rounding.

    Args:
        policy: C.
        world_model: M.
        optimizers: C's and M's; only the learning rates are read.
        settings: the agent's, by name; they must equal `NEEDED`.

    Raises:
        ValueError: settings or nets of another kind.
    """

    def __init__(
        self,
        policy: ControllerPolicy,
        world_model: WorldModel,
        optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
        settings: Mapping[str, object],
    ) -> None:
        wrong = [f"{name}={value!r}" for name, value in NEEDED.items() if settings[name] != value]
        if world_model.output != "logistic" or [*world_model.heads] != ["percept"]:
            wrong.append('model_output="logistic" and goal keys in the observation')
        if wrong:
            raise ValueError(f"the compiled update needs {', '.join(wrong)}; pass compiled=None, or change these")
        self.policy, self.world_model = policy, world_model
        self._policy_optimizer, self._model_optimizer = optimizers
        self._layers()  # raises for other nets

    def _layers(self) -> tuple[Layers, Layers]:
        """C's and M's, looked up anew at every call, as a copy of the agent has parameters of its own."""
        policy, model = self.policy, self.world_model
        return _layers(policy.core, policy.head), _layers(model.core, model.head)

    def learn_model(self, sequence: Sequence) -> float:
        """One descent step on `WorldModel.loss` for each row of (T, 1, W) in turn; returns the last row's loss."""
        inputs = np.concatenate((_rows(sequence["observation"]), _rows(sequence["action"])), 1)
        targets = _rows(self.world_model.target(sequence))
        _, model = self._layers()
        return _learn_model(model, inputs, targets, _rate(self._model_optimizer))

    def learn_controller(self, sequence: Sequence, slopes: Tensor) -> None:
        """One descent step along the gradient that `WorldModel.real_forward` gives C.

        Args:
            sequence: (T, 1, W).
            slopes: (T, 1, P), derivatives of the loss with respect to the trajectory's percepts.
        """
        inputs = _rows(sequence["observation"])
        if self.policy.goal_input:
            inputs = np.concatenate((inputs, _rows(sequence["desired_goal"])), 1)
        controller, model = self._layers()
        _learn_controller(
            controller, model, inputs, _rows(sequence["action"]), sequence.flag("ended").numpy()[:, 0],
            _rows(slopes), as_array(cast(Tensor, self.policy.actions.span)), _rate(self._policy_optimizer),
        )  # fmt: skip


def _layers(core: Core, head: nn.Linear) -> Layers:
    """Weights and biases of the hidden and output layers, in the parameters' own memory."""
    if not isinstance(core, FeedForward) or [type(layer) for layer in core.layers] != [nn.Linear, nn.Sigmoid]:
        raise ValueError(f"the compiled update needs cores with one logistic hidden layer, not {core}")
    parameters = (*core.parameters(), *head.parameters())
    if any(parameter.device.type != "cpu" for parameter in parameters):
        raise ValueError('the compiled update needs device="cpu"')
    weight, bias, out_weight, out_bias = map(as_array, parameters)
    return weight, bias, out_weight, out_bias


def _rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])


def _rows(tensor: Tensor) -> np.ndarray:
    """The only column of (T, 1, size) as (T, size)."""
    return np.ascontiguousarray(tensor.numpy()[:, 0])


@compiled
def _learn_model(model: Layers, inputs: np.ndarray, targets: np.ndarray, rate: float) -> float:
    loss = 0.0
    for t in range(len(inputs)):
        hidden, output = _forward(model, inputs[t])
        loss = 0.0
        for i in range(len(output)):
            error = output[i] - targets[t, i]
            loss += 0.5 * error * error
            output[i] = error * output[i] * (1 - output[i])
        slope, _ = _backward(model, hidden, output)
        _descend(model, inputs[t], hidden, slope, output, rate)
    return loss


@compiled
def _learn_controller(
    controller: Layers,
    model: Layers,
    inputs: np.ndarray,
    actions: np.ndarray,
    ended: np.ndarray,
    slopes: np.ndarray,
    span: np.ndarray,
    rate: float,
) -> None:
    _, bias, _, _ = controller
    model_weight, _, _, _ = model
    length, size = len(inputs), model_weight.shape[1] - len(span)
    hiddens = np.empty((length, len(bias)), np.float32)
    hidden_slopes, output_slopes = np.empty_like(hiddens), np.empty((length, len(span)), np.float32)
    arriving = np.empty(size + len(span), np.float32)
    later = np.zeros(size, np.float32)  # derivative with respect to the observation before step t + 1
    for t in range(length - 1, -1, -1):
        arriving[:size] = inputs[t, :size]
        arriving[size:] = actions[t]
        model_hidden, percept = _forward(model, arriving)
        for i in range(len(percept)):
            slope = slopes[t, i]
            if i < size and not ended[t]:
                slope += later[i]
            percept[i] = slope * percept[i] * (1 - percept[i])
        _, by_input = _backward(model, model_hidden, percept)
        hiddens[t], output = _forward(controller, inputs[t])
        for i in range(len(span)):
            output_slopes[t, i] = by_input[size + i] * span[i] * output[i] * (1 - output[i])
        hidden_slopes[t], by_observation = _backward(controller, hiddens[t], output_slopes[t])
        later[:] = by_input[:size] + by_observation[:size]
    for t in range(length):
        _descend(controller, inputs[t], hiddens[t], hidden_slopes[t], output_slopes[t], rate)


@compiled
def _forward(net: Layers, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activations of the hidden and output units."""
    weight, bias, out_weight, out_bias = net
    hidden = _layer(weight, bias, x)
    return hidden, _layer(out_weight, out_bias, hidden)


@compiled
def _layer(weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(bias)
    for i in range(len(bias)):
        total = bias[i]
        for j in range(len(x)):
            total += weight[i, j] * x[j]
        y[i] = 1 / (1 + np.exp(-total))
    return y


@compiled
def _backward(net: Layers, hidden: np.ndarray, output_slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives in the hidden units' net inputs and in the inputs, from those in the output units' net inputs."""
    weight, _, out_weight, _ = net
    hidden_slope = np.zeros_like(hidden)
    for i in range(len(output_slope)):
        for j in range(len(hidden)):
            hidden_slope[j] += output_slope[i] * out_weight[i, j]
    by_input = np.zeros(weight.shape[1], np.float32)
    for j in range(len(hidden)):
        hidden_slope[j] *= hidden[j] * (1 - hidden[j])
        for k in range(len(by_input)):
            by_input[k] += hidden_slope[j] * weight[j, k]
    return hidden_slope, by_input


@compiled
def _descend(
    net: Layers, x: np.ndarray, hidden: np.ndarray, hidden_slope: np.ndarray, output_slope: np.ndarray, rate: float
) -> None:
    weight, bias, out_weight, out_bias = net
    for i in range(len(output_slope)):
        for j in range(len(hidden)):
            out_weight[i, j] -= rate * output_slope[i] * hidden[j]
        out_bias[i] -= rate * output_slope[i]
    for j in range(len(hidden)):
        for k in range(len(x)):
            weight[j, k] -= rate * hidden_slope[j] * x[k]
        bias[j] -= rate * hidden_slope[j]
