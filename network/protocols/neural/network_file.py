"""A trained network as bytes, the second kind of model.

Tensors, all float64: `mean` and `scale` of the features, and of each layer, counted from 0, `weights.N` and `bias.N`.
Metadata: `kind` (NETWORK), `model_output`, `features`, `target`, `classes`, `units` and `activations` of the layers, `library_version`.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from network.protocols import tensor_file
from network.protocols.aggregation.fixed_point import Reals
from network.protocols.neural.layers import Activation, Layer
from network.protocols.neural.losses import ModelOutput
from network.protocols.neural.network import Network
from network.protocols.party import JobFailed
from network.protocols.tensor_file import Name, TensorFile

KIND = "NETWORK"
MAX_LAYERS = 9

_Units = Annotated[int, Field(ge=1, le=128)]


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["NETWORK"]
    model_output: ModelOutput
    features: Json[Annotated[tuple[Name, ...], Field(min_length=1)]]
    target: Name
    classes: Json[tuple[int, ...]]
    units: Json[Annotated[tuple[_Units, ...], Field(min_length=1, max_length=MAX_LAYERS)]]
    activations: Json[Annotated[tuple[Activation, ...], Field(min_length=1, max_length=MAX_LAYERS)]]
    library_version: Name


def to_bytes(network: Network) -> bytes:
    """The network as the content of a model asset. Raises JobFailed when it is too large for one."""
    tensors = {"mean": network.mean, "scale": network.scale}
    for place, layer in enumerate(network.layers):
        tensors |= {f"weights.{place}": layer.weights, f"bias.{place}": layer.bias}
    metadata = {
        "kind": KIND,
        "model_output": network.model_output,
        "features": json.dumps(network.features),
        "target": network.target,
        "classes": json.dumps(list(range(_classes(network.model_output, len(network.layers[-1].bias))))),
        "units": json.dumps([len(layer.bias) for layer in network.layers]),
        "activations": json.dumps([layer.activation for layer in network.layers]),
    }
    return tensor_file.written(tensors, metadata=metadata)


def _classes(model_output: ModelOutput, units: int) -> int:
    return {"binary": 2, "multiclass": units, "regression": 0}[model_output]


def parse(stored: TensorFile) -> Network:
    """The network in a file. Raises JobFailed unless it is exactly what `to_bytes` writes."""
    try:
        metadata = _Metadata.model_validate(stored.metadata)
    except ValidationError as exc:
        raise JobFailed("the model is not a network of ours") from exc
    _check(metadata)
    tensors = stored.tensors(_shapes(metadata))
    if (tensors["scale"] < 0).any():
        raise JobFailed("the model has a feature whose scale is negative")
    return Network(
        model_output=metadata.model_output,
        features=metadata.features,
        target=metadata.target,
        mean=tensors["mean"],
        scale=tensors["scale"],
        layers=tuple(_layer(tensors, place, activation) for place, activation in enumerate(metadata.activations)),
    )


def _check(metadata: _Metadata) -> None:
    if len(set(metadata.features)) != len(metadata.features):
        raise JobFailed("the model names a feature twice")
    if len(metadata.units) != len(metadata.activations):
        raise JobFailed("the model's layers do not each have an activation")
    units = metadata.units[-1]
    if (units < 3) if metadata.model_output == "multiclass" else (units != 1):
        raise JobFailed("the model's last layer does not fit what it predicts")
    if metadata.classes != tuple(range(_classes(metadata.model_output, units))):
        raise JobFailed("the model's classes are not those that its last layer tells apart")
    if metadata.activations[-1] != "linear":
        raise JobFailed("the model's last layer is not linear")


def _shapes(metadata: _Metadata) -> dict[str, list[int]]:
    shapes = {name: [len(metadata.features)] for name in ("mean", "scale")}
    for place, (inputs, units) in enumerate(pairwise([len(metadata.features), *metadata.units])):
        shapes |= {f"weights.{place}": [inputs, units], f"bias.{place}": [units]}
    return shapes


def _layer(tensors: Mapping[str, Reals], place: int, activation: Activation) -> Layer:
    weights, bias = tensors[f"weights.{place}"], tensors[f"bias.{place}"]
    return Layer(weights=weights, bias=np.asarray(bias), activation=activation)
