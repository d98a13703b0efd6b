"""What the initiator tells every owner between the rounds: numbers about the pool, as little-endian floats."""

from collections.abc import Sequence

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import JobFailed, Party

_FLOAT = np.dtype("<f8")


def announce(party: Party, owners: Sequence[str], *, topic: str, values: Reals) -> None:
    """Tell every owner the same numbers; an empty array says that no more will come."""
    payload = values.astype(_FLOAT).tobytes()
    for owner in owners:
        party.send(owner, topic, payload)


def hear(party: Party, topic: str, *, size: int) -> Reals:
    """Wait for `size` numbers from the initiator. Raises JobFailed when it sends others."""
    values = hear_or_end(party, topic, size=size)
    if values is None:
        raise JobFailed(f"{party.initiator} sent nothing for {topic}")
    return values


def hear_or_end(party: Party, topic: str, *, size: int) -> Reals | None:
    """Wait for `size` numbers from the initiator; None: no more will come."""
    payload = party.receive(party.initiator, topic)
    if not payload:
        return None
    if len(payload) != size * _FLOAT.itemsize:
        raise JobFailed(f"{party.initiator} sent {len(payload)} bytes for {topic}, expected {size * _FLOAT.itemsize}")
    values = np.frombuffer(payload, dtype=_FLOAT).astype(np.float64)
    if not np.isfinite(values).all():
        raise JobFailed(f"{party.initiator} sent a number for {topic} that is not finite")
    return values
