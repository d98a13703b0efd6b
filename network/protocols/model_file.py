"""A trained model as bytes: safetensors, numbers and text only. Bytes from elsewhere are parsed with distrust.

There are two kinds. A regression is here; a network is in `neural.network_file`. Tensors of a regression, all float64:
`coefficients` and `intercept` for features in their own units; `mean` and `scale`, the pooled ones that training
standardised with (a scale of 0 is a constant column). Metadata: `kind`, `features`, `target`, `classes`, `library_version`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from network.protocols import tensor_file
from network.protocols.aggregation.fixed_point import Reals
from network.protocols.neural import network_file
from network.protocols.neural.network import Network
from network.protocols.party import JobFailed
from network.protocols.tensor_file import Name, NoTensorFile, TensorFile

_PER_FEATURE = ("coefficients", "mean", "scale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A linear predictor: intercept + Σ coefficient x feature, and for LOGISTIC the probability of the second class."""

    kind: Literal["LINEAR", "LOGISTIC"]
    features: tuple[str, ...]
    target: str
    coefficients: Reals
    intercept: float
    mean: Reals
    scale: Reals

    @property
    def classifies(self) -> bool:
        """Whether a score is the probability of class 1, and not a value."""
        return self.kind == "LOGISTIC"

    @property
    def width(self) -> int:
        """How many scores a row has."""
        return 1

    def scores(self, matrix: Reals) -> Reals:
        """One number per row of `matrix`, whose columns are the features: the prediction, for LOGISTIC the probability."""
        margin = matrix @ self.coefficients + self.intercept
        return np.exp(-np.logaddexp(0.0, -margin)) if self.classifies else margin


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["LINEAR", "LOGISTIC"]
    features: Json[Annotated[tuple[Name, ...], Field(min_length=1)]]
    target: Name
    classes: Json[tuple[int, ...]]
    library_version: Name


def to_bytes(model: Model) -> bytes:
    """The model as the content of a model asset."""
    tensors = {name: getattr(model, name) for name in _PER_FEATURE} | {"intercept": np.array([model.intercept])}
    metadata = {
        "kind": model.kind,
        "features": json.dumps(model.features),
        "target": model.target,
        "classes": json.dumps([0, 1] if model.classifies else []),
    }
    return tensor_file.written(tensors, metadata=metadata)


def any_from_bytes(content: bytes) -> Model | Network:
    """The model, of whichever kind, in the content of a model asset. Raises JobFailed unless we would write exactly it."""
    try:
        stored = TensorFile(content)
    except NoTensorFile as exc:
        raise JobFailed("the model is not in safetensors format") from exc
    if isinstance(stored.metadata, Mapping) and stored.metadata.get("kind") == network_file.KIND:
        return network_file.parse(stored)
    return _parse(stored)


def from_bytes(content: bytes) -> Model:
    """The regression in the content of a model asset. Raises JobFailed unless it is exactly what `to_bytes` writes."""
    model = any_from_bytes(content)
    if isinstance(model, Network):
        raise JobFailed("the model is a network, not a regression")
    return model


def _parse(stored: TensorFile) -> Model:
    try:
        metadata = _Metadata.model_validate(stored.metadata)
    except ValidationError as exc:
        raise JobFailed("the model is neither a regression nor a network of ours") from exc
    if len(set(metadata.features)) != len(metadata.features):
        raise JobFailed("the model names a feature twice")
    tensors = stored.tensors({name: [len(metadata.features)] for name in _PER_FEATURE} | {"intercept": [1]})
    return Model(
        kind=metadata.kind,
        features=metadata.features,
        target=metadata.target,
        coefficients=tensors["coefficients"],
        intercept=float(tensors["intercept"][0]),
        mean=tensors["mean"],
        scale=tensors["scale"],
    )
