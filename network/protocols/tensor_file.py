"""Named tensors of float64 and a few texts as bytes, in safetensors format. Bytes from elsewhere are parsed with distrust."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import numpy as np
from pydantic import Field
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import JobFailed

MAX_BYTES = 16 * 1024 * 1024
Name = Annotated[str, Field(min_length=1, max_length=200)]
"""A column or a version, as metadata hold it."""

_LENGTH_BYTES = 8
_FLOAT = np.dtype("<f8")


class NoTensorFile(Exception):
    """The bytes are no safetensors file with metadata."""


def written(tensors: Mapping[str, Reals], *, metadata: Mapping[str, str]) -> bytes:
    """Tensors and metadata, to which `library_version` is added, as bytes. Raises JobFailed when they are too many."""
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    content = bytes(save(contiguous, metadata={**metadata, "library_version": _version()}))
    _check_size(content)
    return content


def _version() -> str:
    try:
        return version("tripleblind-gateway")
    except PackageNotFoundError:
        return "not installed"


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise JobFailed(f"the model has {len(content)} bytes; the limit is {MAX_BYTES}")


class TensorFile:
    """A file that was read: its `metadata`, as yet of any shape, and its tensors."""

    def __init__(self, content: bytes) -> None:
        """Raise NoTensorFile for bytes that are none, JobFailed for too many."""
        _check_size(content)
        try:
            self._stored = dict(deserialize(content))  # type: ignore[no-untyped-call]  # compiled, without types
            self.metadata = _header(content).get("__metadata__")
        except (SafetensorError, ValueError) as exc:
            raise NoTensorFile from exc

    def tensors(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Reals]:
        """The tensors, which must be exactly these, of float64 and finite. Raises JobFailed when they are not."""
        wanted = {name: ("F64", list(shape)) for name, shape in shapes.items()}
        if {name: (tensor["dtype"], tensor["shape"]) for name, tensor in self._stored.items()} != wanted:
            raise JobFailed("the model's tensors do not fit its features")
        read = {name: _numbers(tensor).reshape(shapes[name]) for name, tensor in self._stored.items()}
        if not all(np.isfinite(tensor).all() for tensor in read.values()):
            raise JobFailed("the model has numbers that are not finite")
        return read


def _header(content: bytes) -> dict[str, object]:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header: dict[str, object] = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    return header


def _numbers(tensor: Mapping[str, object]) -> Reals:
    data = tensor["data"]
    content = bytes(data) if isinstance(data, bytes | bytearray) else b""
    return np.frombuffer(content, dtype=_FLOAT).astype(np.float64)
