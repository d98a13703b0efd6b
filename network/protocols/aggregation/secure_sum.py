"""The two sides of a secure sum: an owner contributes under a mask, the initiator adds up and the masks are gone."""

from collections.abc import Sequence

import numpy as np

from network.protocols.aggregation.fixed_point import Reals, Words, decode, encode
from network.protocols.aggregation.key_exchange import agree_keys
from network.protocols.aggregation.masks import Masks
from network.protocols.party import JobFailed, Party

_WORD = np.dtype("<u8")


class Contributor:
    """An owner's side. Making one exchanges keys with the other owners, so all of them must."""

    def __init__(self, party: Party, owners: Sequence[str]) -> None:
        if len(owners) < 2:
            raise JobFailed("a secure sum needs at least two owners")
        self._party = party
        self._summands = len(owners)
        self._masks = Masks(party.me, agree_keys(party, owners))

    def contribute(self, topic: str, values: Reals) -> None:
        """Send the values, masked, to the initiator. Raises JobFailed when they are out of range."""
        words = encode(values, summands=self._summands)
        masked = words + self._masks.next(topic, size=words.size).reshape(words.shape)
        self._party.send(self._party.initiator, topic, masked.astype(_WORD).tobytes())


def collect(party: Party, owners: Sequence[str], *, topic: str, size: int) -> Reals:
    """The sums over all owners of `size` values each: the initiator's side of `contribute`.

    Raises JobFailed when an owner sends another number of values.
    """
    total = np.zeros((2, size), dtype=np.uint64)
    for owner in owners:
        total = total + _received(party, owner, topic=topic, size=size)
    return decode(total)


def _received(party: Party, owner: str, *, topic: str, size: int) -> Words:
    payload = party.receive(owner, topic)
    if len(payload) != 2 * size * _WORD.itemsize:
        raise JobFailed(f"{owner} sent {len(payload)} bytes for {topic}, expected {2 * size * _WORD.itemsize}")
    return np.frombuffer(payload, dtype=_WORD).astype(np.uint64).reshape(2, size)
