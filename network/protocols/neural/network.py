"""A trained network as a predictor: features in their own units go in, predictions in the target's own unit come out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.neural.layers import Layers, output, sigmoid, softmax
from network.protocols.neural.losses import ModelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Layers over features that are standardised first: less `mean`, divided by `scale`; a scale of 0 makes all of it 0."""

    model_output: ModelOutput
    features: tuple[str, ...]
    target: str
    mean: Reals
    scale: Reals
    layers: Layers

    @property
    def kind(self) -> Literal["NETWORK"]:
        """What kind of model it is."""
        return "NETWORK"

    @property
    def classifies(self) -> bool:
        """Whether scores are probabilities of classes, and not a value."""
        return self.model_output != "regression"

    @property
    def width(self) -> int:
        """How many scores a row has: one for each of many classes, else one."""
        return len(self.layers[-1].bias)

    def scores(self, matrix: Reals) -> Reals:
        """One number per row of `matrix`, whose columns are the features: the prediction, for binary the probability of
        class 1. For multiclass a row of probabilities.
        """
        outputs = output(self.layers, standardised(matrix, mean=self.mean, scale=self.scale))
        scores = probabilities(outputs) if self.classifies else outputs
        return scores[:, 0] if self.width == 1 else scores


def probabilities(outputs: Reals) -> Reals:
    """Of class 1, where there is one column; of each class, where there are more."""
    return sigmoid(outputs) if outputs.shape[1] == 1 else softmax(outputs)


def standardised(matrix: Reals, *, mean: Reals, scale: Reals) -> Reals:
    """The columns less their mean, divided by their scale; a column of scale 0, a constant one, is 0."""
    varies = scale > 0
    return np.where(varies, (matrix - mean) / np.where(varies, scale, 1.0), 0.0)
