"""The pooled mean and scale of every column, in three rounds of secure sums.

Subtracting squares of raw sums would lose most digits of a column whose mean is far from zero. So the mean comes first;
then the mean distance from it, which gives a unit (a power of two) in which fixed point is fine enough for columns of any
size; then the first and second moment of the distances in that unit. This is the corrected two-pass algorithm (Chan,
Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import Contributor, collect
from network.protocols.party import Party
from network.protocols.regression.announcements import announce, hear

SUM_TOPIC, CENTRE_TOPIC = "count-and-sum", "centre"
DISTANCE_TOPIC, UNIT_TOPIC = "distance", "unit"
SPREAD_TOPIC, STANDARD_TOPIC = "spread", "standard"

# Rounding alone moves the values of a constant column this far from its mean.
_NOISE = 2.0**-42
_RELATIVE_NOISE = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Per column the pooled mean and the pooled population standard deviation; a scale of 0 is a constant column."""

    mean: Reals
    scale: Reals

    def apply(self, columns: Reals) -> Reals:
        """The columns that are not constant, with mean 0 and variance 1 over the pool."""
        varies = self.scale > 0
        return np.asarray((columns[:, varies] - self.mean[varies]) / self.scale[varies], dtype=np.float64)


def give_moments(party: Party, contributor: Contributor, *, columns: Reals) -> Standard:
    """The owner's side: contribute to the three rounds, and hear what the initiator makes of them."""
    records, size = columns.shape
    contributor.contribute(SUM_TOPIC, np.append(columns.sum(axis=0), records))
    distances = columns - hear(party, CENTRE_TOPIC, size=size)
    contributor.contribute(DISTANCE_TOPIC, np.abs(distances).sum(axis=0))
    distances = distances / hear(party, UNIT_TOPIC, size=size)
    contributor.contribute(SPREAD_TOPIC, np.concatenate([distances.sum(axis=0), (distances**2).sum(axis=0)]))
    mean, scale = hear(party, STANDARD_TOPIC, size=2 * size).reshape(2, size)
    return Standard(mean=mean, scale=scale)


def gather_moments(party: Party, owners: Sequence[str], *, size: int) -> tuple[int, Standard]:
    """The initiator's side, for `size` columns: the number of records in the pool, and their standard."""
    *sums, records = collect(party, owners, topic=SUM_TOPIC, size=size + 1)
    centre = np.array(sums) / records
    announce(party, owners, topic=CENTRE_TOPIC, values=centre)
    distance = collect(party, owners, topic=DISTANCE_TOPIC, size=size) / records
    varies = distance > _NOISE + _RELATIVE_NOISE * np.abs(centre)
    unit = np.exp2(np.rint(np.log2(np.where(varies, distance, 1.0))))
    announce(party, owners, topic=UNIT_TOPIC, values=unit)
    first, second = collect(party, owners, topic=SPREAD_TOPIC, size=2 * size).reshape(2, size) / records
    scale = np.where(varies, unit * np.sqrt(np.maximum(second - first**2, 0.0)), 0.0)
    standard = Standard(mean=centre + unit * first, scale=scale)
    announce(party, owners, topic=STANDARD_TOPIC, values=np.concatenate([standard.mean, standard.scale]))
    return round(records), standard
