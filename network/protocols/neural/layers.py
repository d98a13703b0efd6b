"""A feed-forward network as plain arithmetic. It knows no parties, no files and no losses.

A batch has a row per record. Each layer gives activation(x W + b); the last is linear. What is too large for a float
becomes infinite without a word: whoever passes numbers on looks whether they are finite.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from network.protocols.aggregation.fixed_point import Reals

Activation = Literal["linear", "relu", "sigmoid", "square", "tanh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """`weights` has a row per input and a column per unit, `bias` a number per unit."""

    weights: Reals
    bias: Reals
    activation: Activation

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return self.weights.size + self.bias.size


_QUIETLY = np.errstate(over="ignore", invalid="ignore")

Layers = tuple[Layer, ...]
"""From the input to the output."""


def initial(inputs: int, shape: Sequence[tuple[int, Activation]], *, seed: int) -> Layers:
    """Layers of `shape`, units and activation each, with Glorot's uniform weights (2010) and biases of 0.

    The same seed gives the same weights everywhere.
    """
    rng = np.random.default_rng(seed)
    return tuple(_drawn(rng, fan_in, units, activation) for fan_in, units, activation in _fans(inputs, shape))


def _fans(inputs: int, shape: Sequence[tuple[int, Activation]]) -> Iterator[tuple[int, int, Activation]]:
    for units, activation in shape:
        yield inputs, units, activation
        inputs = units


def _drawn(rng: np.random.Generator, fan_in: int, units: int, activation: Activation) -> Layer:
    bound = np.sqrt(6 / (fan_in + units))
    return Layer(weights=rng.uniform(-bound, bound, (fan_in, units)), bias=np.zeros(units), activation=activation)


@_QUIETLY
def forward(layers: Layers, inputs: Reals) -> list[Reals]:
    """The input, then what each layer makes of the one before; the last is the output."""
    values = [inputs]
    for layer in layers:
        values.append(_ACTIVATIONS[layer.activation](values[-1] @ layer.weights + layer.bias))
    return values


def output(layers: Layers, inputs: Reals) -> Reals:
    """What the last layer makes of the inputs."""
    return forward(layers, inputs)[-1]


@_QUIETLY
def backward(layers: Layers, inputs: Reals, slope: Reals) -> tuple[Reals, Reals]:
    """Of a loss whose slope by the output is given, row by row: the gradient, flat, and the slope by the inputs.

    The gradient is summed over the rows.
    """
    values = forward(layers, inputs)
    gradients: list[Reals] = []
    for layer, given in zip(reversed(layers), reversed(values[:-1]), strict=True):
        slope = slope * _SLOPES[layer.activation](given @ layer.weights + layer.bias)
        gradients.append(np.concatenate([(given.T @ slope).ravel(), slope.sum(axis=0)]))
        slope = slope @ layer.weights.T
    return np.concatenate(gradients[::-1]), slope


def flat(layers: Layers) -> Reals:
    """All numbers in a row: of each layer the weights, row by row, then the bias."""
    return np.concatenate([part for layer in layers for part in (layer.weights.ravel(), layer.bias)])


def unflatten(numbers: Reals, *, like: Layers) -> Layers:
    """The layers of which `numbers` is the flat form, of the same shape as others."""
    made: list[Layer] = []
    for layer in like:
        mine, numbers = numbers[: layer.size], numbers[layer.size :]
        weights, bias = np.split(mine, [layer.weights.size])
        made.append(replace(layer, weights=weights.reshape(layer.weights.shape), bias=bias))
    return tuple(made)


def sigmoid(values: Reals) -> Reals:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -values)), dtype=np.float64)


def softmax(values: Reals) -> Reals:
    """Of each row exp(x) / Σ exp(x), without overflow."""
    return np.asarray(np.exp(values - np.logaddexp.reduce(values, axis=1, keepdims=True)), dtype=np.float64)


_ACTIVATIONS: dict[Activation, Callable[[Reals], Reals]] = {
    "linear": lambda values: values,
    "relu": lambda values: np.maximum(values, 0.0),
    "sigmoid": sigmoid,
    "square": np.square,
    "tanh": np.tanh,
}

_SLOPES: dict[Activation, Callable[[Reals], Reals]] = {
    "linear": np.ones_like,
    "relu": lambda values: (values > 0).astype(np.float64),
    "sigmoid": lambda values: sigmoid(values) * sigmoid(-values),
    "square": lambda values: 2 * values,
    "tanh": lambda values: 1 - np.tanh(values) ** 2,
}
