"""RECOMMENDER_TRAIN: the initiator holds the item factors, the owners the ratings and the factors of their users."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import Contributor, collect
from network.protocols.parameters import RecommenderParams
from network.protocols.party import JobFailed, Outcome, Party
from network.protocols.recommender.factors import Sums, flat_size, initial, stepped, sums_at
from network.protocols.recommender.ratings import read_ratings
from network.protocols.regression.announcements import announce, hear, hear_or_end

COUNTS_TOPIC, MEAN_TOPIC = "counts", "mean"
FACTORS_TOPIC, SUMS_TOPIC = "item-factors", "sums"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    counts: Reals
    mean: float

    @property
    def records(self) -> int:
        return round(float(self.counts.sum()))


def run(party: Party) -> Outcome:
    """Train or contribute, whichever is this party's part. Raises JobFailed when there is nothing to train on."""
    params = RecommenderParams.model_validate(party.params)
    owners = sorted({dataset.team for dataset in party.datasets})
    # The Router has checked this too; an owner need not take its word for it.
    if party.initiator in owners or len(owners) < 2:
        raise JobFailed("a recommender needs tables of at least two teams, none of them the one that starts the job")
    if party.me == party.initiator:
        return _train(party, owners, params=params)
    _contribute(party, owners, params=params)
    return Outcome(raw_status="")


def _contribute(party: Party, owners: Sequence[str], *, params: RecommenderParams) -> None:
    ratings = read_ratings(party, params)
    contributor = Contributor(party, owners)
    contributor.contribute(COUNTS_TOPIC, np.append(ratings.counts(params.item_count), ratings.values.sum()))
    mean = float(hear(party, MEAN_TOPIC, size=1)[0])
    shape = (params.item_count, params.factors)
    while (told := hear_or_end(party, FACTORS_TOPIC, size=shape[0] * shape[1])) is not None:
        sums = sums_at(told.reshape(shape), ratings, mean=mean, penalty=params.regularization)
        contributor.contribute(SUMS_TOPIC, sums.flat())


def _train(party: Party, owners: Sequence[str], *, params: RecommenderParams) -> Outcome:
    pool = _meet(party, owners, params=params)
    factors = initial(params.item_count, factors=params.factors, seed=params.seed)
    sums = _evaluate(party, owners, factors)
    for epoch in range(params.epochs):
        factors = stepped(factors, sums, penalty=params.regularization)
        sums = _evaluate(party, owners, factors)
        quality = _quality(sums, factors, pool=pool, params=params)
        _tell(party, pool, epoch=epoch, epoch_count=params.epochs, quality=quality)
    announce(party, owners, topic=FACTORS_TOPIC, values=np.empty(0))
    table = _table(factors, pool=pool)
    summary = {"operation": "RECOMMENDER_TRAIN", "records": pool.records, "items": table.num_rows, "mean": pool.mean}
    summary |= {"factors": params.factors, "epochs": params.epochs, **quality}
    return Outcome(raw_status=json.dumps(summary), asset_id=party.save_table(table))


def _meet(party: Party, owners: Sequence[str], *, params: RecommenderParams) -> _Pool:
    numbers = collect(party, owners, topic=COUNTS_TOPIC, size=params.item_count + 1)
    pool = _Pool(counts=np.rint(numbers[:-1]), mean=float(numbers[-1] / np.rint(numbers[:-1]).sum()))
    announce(party, owners, topic=MEAN_TOPIC, values=np.array([pool.mean]))
    return pool


def _evaluate(party: Party, owners: Sequence[str], factors: Reals) -> Sums:
    items, size = factors.shape
    announce(party, owners, topic=FACTORS_TOPIC, values=factors.ravel())
    return Sums.unflatten(collect(party, owners, topic=SUMS_TOPIC, size=flat_size(items, factors=size)), items=items)


def _quality(sums: Sums, factors: Reals, *, pool: _Pool, params: RecommenderParams) -> dict[str, float]:
    """`loss`, the minimised function per rating, and `rmse`, the root of the mean squared error."""
    rated = factors[pool.counts > 0]
    penalty = params.regularization * (sums.users + float((rated**2).sum()))
    loss = (sums.squared + penalty) / (2 * pool.records)
    return {"loss": loss, "rmse": float(np.sqrt(sums.squared / pool.records))}


def _tell(party: Party, pool: _Pool, *, epoch: int, epoch_count: int, quality: dict[str, float]) -> None:
    message = {"__type": "RecommenderTrainMetrics", "epoch": epoch, "epoch_count": epoch_count}
    party.emit({**message, "records": pool.records, **quality})


def _table(factors: Reals, *, pool: _Pool) -> pa.Table:
    """The items that were rated, their number of ratings, and their factors."""
    [rated] = np.nonzero(pool.counts)
    columns = {"item": rated, "ratings": pool.counts[rated].astype(np.int64)}
    columns |= {f"factor_{place + 1}": factors[rated, place] for place in range(factors.shape[1])}
    return pa.table(columns)
