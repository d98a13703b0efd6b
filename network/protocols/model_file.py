"""A trained model as bytes: safetensors, numbers and text only. Bytes from elsewhere are parsed with distrust.

Tensors, all float64: `coefficients` and `intercept` for features in their own units; `mean` and `scale`, the pooled ones
that training standardised with (a scale of 0 is a constant column). Metadata: `kind`, `features`, `target`, `classes`, `library_version`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import JobFailed

MAX_BYTES = 16 * 1024 * 1024
_LENGTH_BYTES = 8
_FLOAT = np.dtype("<f8")
_PER_FEATURE = ("coefficients", "mean", "scale")

Name = Annotated[str, Field(min_length=1, max_length=200)]


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

    def scores(self, matrix: Reals) -> Reals:
        """One number per row of `matrix`, whose columns are the features: the prediction, for LOGISTIC the probability."""
        margin = matrix @ self.coefficients + self.intercept
        return np.exp(-np.logaddexp(0.0, -margin)) if self.kind == "LOGISTIC" else margin


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
        "classes": json.dumps([0, 1] if model.kind == "LOGISTIC" else []),
        "library_version": _version(),
    }
    return bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, metadata=metadata))


def _version() -> str:
    try:
        return version("tripleblind-gateway")
    except PackageNotFoundError:
        return "not installed"


def from_bytes(content: bytes) -> Model:
    """The model in the content of a model asset. Raises JobFailed unless it is exactly what `to_bytes` writes."""
    if len(content) > MAX_BYTES:
        raise JobFailed(f"the model has {len(content)} bytes; the limit is {MAX_BYTES}")
    try:
        stored = dict(deserialize(content))  # type: ignore[no-untyped-call]  # compiled, without types
        metadata = _Metadata.model_validate(_header(content).get("__metadata__"))
    except (SafetensorError, ValidationError, ValueError) as exc:
        raise JobFailed("the model is not a regression in safetensors format") from exc
    tensors = _tensors(stored, features=metadata.features)
    return Model(
        kind=metadata.kind,
        features=metadata.features,
        target=metadata.target,
        coefficients=tensors["coefficients"],
        intercept=float(tensors["intercept"][0]),
        mean=tensors["mean"],
        scale=tensors["scale"],
    )


def _header(content: bytes) -> dict[str, object]:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header: dict[str, object] = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    return header


def _tensors(stored: Mapping[str, Mapping[str, object]], *, features: tuple[str, ...]) -> dict[str, Reals]:
    wanted = dict.fromkeys(_PER_FEATURE, ("F64", [len(features)])) | {"intercept": ("F64", [1])}
    found = {name: (tensor["dtype"], tensor["shape"]) for name, tensor in stored.items()}
    if found != wanted or len(set(features)) != len(features):
        raise JobFailed("the model's tensors do not fit its features")
    tensors = {name: np.frombuffer(_data(tensor), dtype=_FLOAT).astype(np.float64) for name, tensor in stored.items()}
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise JobFailed("the model has numbers that are not finite")
    return tensors


def _data(tensor: Mapping[str, object]) -> bytes:
    data = tensor["data"]
    return bytes(data) if isinstance(data, bytes | bytearray) else b""
