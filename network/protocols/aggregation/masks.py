"""Masks that cancel: of each pair of owners one adds a stream of words and the other takes the same stream away."""

import json
from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from network.protocols.aggregation.fixed_point import Words

_WORD = np.dtype("<u8")
_ZERO_COUNTER = bytes(16)


class Masks:
    """The masks of one owner in one job; `keys` are the secrets it shares with each other owner.

    Every call of `next` takes the next round's stream, so that no mask is ever used twice. All owners must call it in
    the same order with the same topics and sizes: otherwise the masks do not cancel, and the sum is noise.
    """

    def __init__(self, me: str, keys: Mapping[str, bytes]) -> None:
        self._me = me
        self._keys = keys
        self._round = 0

    def next(self, topic: str, *, size: int) -> Words:
        """The mask, `size` words, of this owner in the next round. Over all owners a round's masks add up to zero."""
        self._round += 1
        mask = np.zeros(size, dtype=np.uint64)
        for peer, key in self._keys.items():
            stream = _stream(_round_key(key, topic=topic, number=self._round), size=size)
            mask = mask + stream if self._me < peer else mask - stream
        return mask


def _round_key(key: bytes, *, topic: str, number: int) -> bytes:
    return HKDFExpand(SHA256(), 32, info=json.dumps([topic, number]).encode()).derive(key)


def _stream(key: bytes, *, size: int) -> Words:
    """AES-256 in counter mode; the counter may start at zero because no key serves twice."""
    encryptor = Cipher(AES(key), CTR(_ZERO_COUNTER)).encryptor()
    return np.frombuffer(encryptor.update(bytes(size * _WORD.itemsize)), dtype=_WORD).astype(np.uint64)
