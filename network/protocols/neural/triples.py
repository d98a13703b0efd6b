"""What the dealer prepares for one layer and one batch: random numbers with a known relation, in two shares.

Beaver, "Efficient Multiparty Protocols Using Circuit Randomization" (CRYPTO 1991), for matrices and for squares, and for
each truncation a random word with its upper bits and its top bit.
"""

from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Words
from network.protocols.neural.ring import FRACTION_BITS, WORD_BITS, random_words, split

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """One layer over one batch: a matrix of rows x inputs times one of inputs x units, then perhaps a square."""

    rows: int
    inputs: int
    units: int
    square: bool

    @property
    def shapes(self) -> list[Shape]:
        """Of the arrays that `deal` makes, in this order: A, B, AB; r and what belongs to it; for a square s, s²; r again."""
        out = (self.rows, self.units)
        return [(self.rows, self.inputs), (self.inputs, self.units), out, *[out] * (8 if self.square else 3)]


def deal(size: LayerSize) -> tuple[list[Words], list[Words]]:
    """The two shares of everything a layer needs. Nothing of it is ever dealt again."""
    left, right = random_words((size.rows, size.inputs)), random_words((size.inputs, size.units))
    dealt = [left, right, left @ right, *_truncation(size)]
    if size.square:
        root = random_words((size.rows, size.units))
        dealt += [root, root * root, *_truncation(size)]
    pairs = [split(secret) for secret in dealt]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _truncation(size: LayerSize) -> list[Words]:
    word = random_words((size.rows, size.units))
    return [word, word >> np.uint64(FRACTION_BITS), word >> np.uint64(WORD_BITS - 1)]
