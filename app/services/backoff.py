"""How long to wait before the next try, as the reference's streams do: 0.5 s, then twice as long each time."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`tries` are made in quick succession before the peer counts as lost; then tries go on, `slowest_s` apart."""

    tries: int = 5
    first_s: float = 0.5
    factor: float = 2.0
    slowest_s: float = 15.0

    def pause_s(self, failures: int) -> float:
        """The pause after so many failures in a row, shortened at random so that many do not return together."""
        longest = min(self.slowest_s, self.first_s * self.factor ** min(failures - 1, 30))
        return random.uniform(longest / 2, longest)  # noqa: S311  (no secret depends on it)
