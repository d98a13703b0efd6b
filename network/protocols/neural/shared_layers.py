"""A layer computed by two parties on shares, of which neither sees what it stands for.

One of the two leads: it adds what is known to both. A number here is the sum of two words mod 2^64, one at each party.
"""

from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Words
from network.protocols.neural import ring
from network.protocols.neural.ring import FRACTION_BITS, WORD_BITS
from network.protocols.neural.triples import LayerSize
from network.protocols.party import JobFailed, Party

OPENED_TOPIC = "opened"

# Moves ±2^62 to where the top bit is 0.
_OFFSET_BITS = WORD_BITS - 2
_FRACTION = np.uint64(FRACTION_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two parties and its peer."""

    party: Party
    peer: str
    leads: bool

    def layer(self, values: Words, weights: Words, bias: Words, *, size: LayerSize, dealt: list[Words]) -> Words:
        """The share, on this side, of the layer's output, in steps of 2^-20, from its shares of all that goes in.

        `bias` is in steps of 2^-40. Each truncation makes the result too large by 2^-20 at most.
        """
        product = self._multiplied(values, weights, triple=dealt[:3])
        out = self._truncated(product + bias, dealt=dealt[3:6])
        if size.square:
            out = self._truncated(self._squared(out, pair=dealt[6:8]), dealt=dealt[8:])
        return out

    def _multiplied(self, left: Words, right: Words, *, triple: list[Words]) -> Words:
        a, b, ab = triple
        left_open, right_open = self._opened([left - a, right - b])
        share = left_open @ b + a @ right_open + ab
        return share + left_open @ right_open if self.leads else share

    def _squared(self, root: Words, *, pair: list[Words]) -> Words:
        s, ss = pair
        [opened] = self._opened([root - s])
        share = np.uint64(2) * opened * s + ss
        return share + opened * opened if self.leads else share

    def _truncated(self, values: Words, *, dealt: list[Words]) -> Words:
        """The upper bits of v, from the opened c = v + 2^62 + r and the upper bits of the dealt r.

        c has wrapped around exactly when the top bit of r is 1 and that of c is 0, since that of v + 2^62 is 0.
        """
        word, upper, top = dealt
        offset = np.uint64(1 << _OFFSET_BITS) if self.leads else np.uint64(0)
        [opened] = self._opened([values + offset + word])
        wrapped = np.where(opened >> np.uint64(WORD_BITS - 1) == 0, top, np.uint64(0))
        share = (wrapped << np.uint64(WORD_BITS - FRACTION_BITS)) - upper
        if not self.leads:
            return share
        return share + (opened >> _FRACTION) - np.uint64(1 << (_OFFSET_BITS - FRACTION_BITS))

    def _opened(self, shares: list[Words]) -> list[Words]:
        """What the shares of both stand for. Only what a dealt random word hides may come here."""
        self.party.send(self.peer, OPENED_TOPIC, ring.to_bytes(shares))
        theirs = ring.from_bytes(
            self.party.receive(self.peer, OPENED_TOPIC), shapes=[(len(share), share.shape[1]) for share in shares]
        )
        if theirs is None:
            raise JobFailed(f"{self.peer} sent a share of another size than expected")
        return [mine + other for mine, other in zip(shares, theirs, strict=True)]
