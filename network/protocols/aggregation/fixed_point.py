"""Real numbers as words of the ring of integers mod 2^64, where masks cancel exactly.

A number travels as two words. The fine one counts steps of 2^-44 and wraps every 2^20; the coarse one counts steps of
2^-9 and does not wrap within ±2^54. Of a sum, the coarse word says which wrap the fine one is in, the fine one says the
rest: exact to half a step of 2^-44 for each number added.
"""

import numpy as np
from numpy.typing import NDArray

from network.protocols.party import JobFailed

Words = NDArray[np.uint64]
Reals = NDArray[np.float64]

FINE_BITS = 44
COARSE_BITS = 9
RANGE_BITS = 54
WORD_BITS = 64


def encode(values: Reals, *, summands: int) -> Words:
    """Two rows of words, coarse and fine, for numbers of which `summands` alike will be added.

    Raises JobFailed for a number that is not finite, or so large that the sum could leave ±2^54.
    """
    if not np.isfinite(values).all():
        raise JobFailed("a sum is not a finite number; are the values too large?")
    if (np.abs(values) >= 2.0**RANGE_BITS / summands).any():
        raise JobFailed(f"a sum leaves the range of secure aggregation, ±2^{RANGE_BITS}; rescale the columns")
    return np.stack([_words(values, bits=COARSE_BITS), _words(values, bits=FINE_BITS)])


def decode(words: Words) -> Reals:
    """The sum that a sum of encoded numbers (two rows: coarse, fine) stands for, each rounded once to a float."""
    coarse, fine = words.view(np.int64).tolist()
    return np.array([_unwrap(where, exactly) for where, exactly in zip(coarse, fine, strict=True)], dtype=np.float64)


def _words(values: Reals, *, bits: int) -> Words:
    # Scaling by a power of two and fmod are exact in binary floating point: only rint rounds.
    steps = np.fmod(np.rint(np.ldexp(values, bits)), 2.0**WORD_BITS)
    size = np.abs(steps).astype(np.uint64)
    return np.where(steps < 0, -size, size)


def _unwrap(coarse: int, fine: int) -> float:
    steps = coarse << (FINE_BITS - COARSE_BITS)
    wraps = (steps - fine + (1 << (WORD_BITS - 1))) >> WORD_BITS
    return (fine + (wraps << WORD_BITS)) / (1 << FINE_BITS)
