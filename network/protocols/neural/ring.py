"""Real numbers as words of the ring of integers mod 2^64, in fixed point, and secrets split in two."""

import secrets

import numpy as np

from network.protocols.aggregation.fixed_point import Reals, Words

FRACTION_BITS = 20
WORD_BITS = 64
# A product has twice the fraction bits before it is truncated, and must then lie within ±2^62.
RANGE = 2.0**21

_WORD = np.dtype("<u8")


def encode(values: Reals, *, bits: int = FRACTION_BITS) -> Words:
    """The numbers, rounded to steps of 2^-bits."""
    return np.rint(np.ldexp(values, bits)).astype(np.int64).view(np.uint64)


def decode(words: Words) -> Reals:
    """The numbers that words in steps of 2^-20 stand for."""
    return np.ldexp(words.view(np.int64).astype(np.float64), -FRACTION_BITS)


def random_words(shape: tuple[int, ...]) -> Words:
    """Words that nobody can foresee, from the operating system's generator."""
    size = int(np.prod(shape))
    return np.frombuffer(secrets.token_bytes(size * _WORD.itemsize), dtype=_WORD).astype(np.uint64).reshape(shape)


def split(secret: Words) -> tuple[Words, Words]:
    """Two shares that add up to the secret; each alone is random."""
    first = random_words(secret.shape)
    return first, secret - first


def to_bytes(words: list[Words]) -> bytes:
    """Several arrays of words, one after the other."""
    return b"".join(array.astype(_WORD).tobytes() for array in words)


def from_bytes(payload: bytes, *, shapes: list[tuple[int, int]]) -> list[Words] | None:
    """The arrays of these shapes; None when the payload is not as long as they are."""
    sizes = [rows * columns for rows, columns in shapes]
    if len(payload) != sum(sizes) * _WORD.itemsize:
        return None
    words = np.frombuffer(payload, dtype=_WORD).astype(np.uint64)
    parts = np.split(words, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
