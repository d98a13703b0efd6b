"""What a network's output is compared by: loss, hits and slope, summed over the rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.neural.layers import softmax

ModelOutput = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """`loss` and `hits`, the number predicted right (0 for regression), are sums; `slope` is the loss's, row by row."""

    loss: float
    hits: float
    slope: Reals


@np.errstate(over="ignore", invalid="ignore")
def compare(output: Reals, target: Reals, *, model_output: ModelOutput) -> Compared:
    """Outputs with the target: the log loss for classes, half the squared error for regression.

    Outputs have a column for each of many classes, else one.
    """
    if model_output == "multiclass":
        return _many_classes(output, target.astype(np.int64))
    margin = output[:, 0]
    if model_output == "regression":
        residual = margin - target
        return Compared(loss=float(residual @ residual) / 2, hits=0.0, slope=residual[:, np.newaxis])
    return _two_classes(margin, target)


def _two_classes(margin: Reals, target: Reals) -> Compared:
    signed = np.where(target > 0, margin, -margin)
    away = np.exp(-np.logaddexp(0.0, signed))
    return Compared(
        loss=float(np.logaddexp(0.0, -signed).sum()),
        hits=float(((margin > 0) == (target > 0)).sum()),
        slope=np.where(target > 0, -away, away)[:, np.newaxis],
    )


def _many_classes(output: Reals, target: np.typing.NDArray[np.int64]) -> Compared:
    right = np.arange(output.shape[1]) == target[:, np.newaxis]
    return Compared(
        loss=float((np.logaddexp.reduce(output, axis=1) - output[right]).sum()),
        hits=float((output.argmax(axis=1) == target).sum()),
        slope=softmax(output) - right,
    )
