"""How long jobs stay in a phase, counted in buckets whose bounds grow by the same factor, as an HDR histogram's do."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from math import log2

_PER_DOUBLING = 16
_FINEST_US = 1_000


def bucket(us: int) -> int:
    """The bucket of a stay of so many microseconds: 0 below a millisecond, then sixteen for each doubling."""
    return 0 if us < _FINEST_US else 1 + int(log2(us / _FINEST_US) * _PER_DOUBLING)


def seconds(number: int) -> float:
    """The middle of a bucket, at most 2.2 % from any stay in it; a millisecond's half for the first."""
    us = _FINEST_US / 2 if number == 0 else _FINEST_US * 2 ** ((number - 0.5) / _PER_DOUBLING)
    return us / 1_000_000


def quantile(stays: Mapping[int, int], share: float) -> float | None:
    """The length, in seconds, that this share of the stays (by bucket) does not exceed. None: there are no stays."""
    if not stays:
        return None
    numbers = sorted(stays)
    reached = list(accumulate(stays[number] for number in numbers))
    return seconds(numbers[bisect_left(reached, share * reached[-1])])
