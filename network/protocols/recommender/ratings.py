"""The ratings of one owner as numbers. They never leave this process; only sums over them do."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.numeric_columns import MIN_RECORDS, is_numeric, numbers_of
from network.protocols.parameters import RecommenderParams
from network.protocols.party import JobFailed, Party

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """One entry a rating, sorted by user: users are counted from 0, items have the numbers they have everywhere."""

    users: Places
    items: Places
    values: Reals

    def counts(self, item_count: int) -> Reals:
        """How many ratings each item has here."""
        return np.bincount(self.items, minlength=item_count).astype(np.float64)


def read_ratings(party: Party, params: RecommenderParams) -> Ratings:
    """The ratings held here, of items that enough users here have rated.

    Raises JobFailed when a column is missing, has gaps or cannot be what it is to be, and when too few ratings are left.
    """
    here = [dataset for dataset in party.datasets if dataset.team == party.me]
    parts = [_columns(party.table(dataset), party.roles(dataset), params, team=party.me) for dataset in here]
    names = np.concatenate([users for users, _ in parts])
    numbers = np.vstack([pair for _, pair in parts])
    items = _items(numbers[:, 0], params, team=party.me)
    _, users = np.unique(names, return_inverse=True)
    _refuse_repeats(users, items, team=party.me)
    return _kept(users, items, numbers[:, 1], team=party.me)


def _columns(
    table: pa.Table, roles: Mapping[str, str], params: RecommenderParams, *, team: str
) -> tuple[NDArray[np.str_], Reals]:
    for name in (params.user_column, params.item_column, params.rating_column):
        if name not in table.column_names:
            raise JobFailed(f"the table of {team} has no column {name!r}")
    for name in (params.item_column, params.rating_column):
        # A sum for each identifier would be a sum for each row.
        if not is_numeric(table.schema.field(name).type) or roles.get(name) not in {"feature", "target"}:
            raise JobFailed(f"the column {name!r} of {team} is no number that can be an item or a rating")
    users = table[params.user_column]
    if users.null_count:
        raise JobFailed(f"the column {params.user_column!r} of {team} has values that are missing")
    try:
        names = np.asarray(users.cast(pa.string()).to_numpy(), dtype=np.str_)
    except pa.ArrowException as exc:
        raise JobFailed(f"the column {params.user_column!r} of {team} cannot name users") from exc
    return names, numbers_of(table, [params.item_column, params.rating_column], team=team)


def _items(numbers: Reals, params: RecommenderParams, *, team: str) -> Places:
    inside = (numbers >= 0) & (numbers < params.item_count) & (numbers == np.floor(numbers))
    if not inside.all():
        raise JobFailed(
            f"the column {params.item_column!r} of {team} has {int((~inside).sum())} values that are not whole numbers "
            f"from 0 to {params.item_count - 1}, as item_count says"
        )
    return numbers.astype(np.int64)


def _refuse_repeats(users: Places, items: Places, *, team: str) -> None:
    pairs = np.unique(np.stack([users, items]), axis=1)
    if pairs.shape[1] < len(users):
        raise JobFailed(f"{team} has {len(users) - pairs.shape[1]} ratings by users who rated the same item before")


def _kept(users: Places, items: Places, values: Reals, *, team: str) -> Ratings:
    enough = np.bincount(items) >= MIN_RECORDS
    kept = enough[items]
    if not kept.any():
        raise JobFailed(
            f"{team} has no item that {MIN_RECORDS} users rated; sums over so few would tell too much of them"
        )
    _, renumbered = np.unique(users[kept], return_inverse=True)
    order = np.argsort(renumbered, kind="stable")
    return Ratings(users=renumbered[order], items=items[kept][order], values=values[kept][order])
