"""Matrices between two parties, as little-endian floats."""

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import JobFailed, Party

_FLOAT = np.dtype("<f8")


def send_matrix(party: Party, team: str, topic: str, matrix: Reals) -> None:
    """The numbers, row by row."""
    party.send(team, topic, matrix.astype(_FLOAT).tobytes())


def receive_matrix(party: Party, team: str, topic: str, *, shape: tuple[int, int]) -> Reals:
    """Wait for a matrix of this shape. Raises JobFailed when another came, or one with a number that is not finite."""
    payload = party.receive(team, topic)
    expected = shape[0] * shape[1] * _FLOAT.itemsize
    if len(payload) != expected:
        raise JobFailed(f"{team} sent {len(payload)} bytes for {topic}, expected {expected}")
    matrix = np.frombuffer(payload, dtype=_FLOAT).astype(np.float64).reshape(shape)
    if not np.isfinite(matrix).all():
        raise JobFailed(f"{team} sent a number for {topic} that is not finite")
    return matrix
