"""Columns of a table as numbers, with the refusals that every computation on them shares."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import JobFailed

# A sum or a score over fewer rows would tell too much of each.
MIN_RECORDS = 10


def is_numeric(dtype: pa.DataType) -> bool:
    """Whether a column of this type can be computed with: whole numbers, floats, decimals and booleans."""
    numbers = pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)
    return bool(numbers or pa.types.is_boolean(dtype))


def numbers_of(table: pa.Table, names: Sequence[str], *, team: str) -> Reals:
    """A row per record and a column per name. Raises JobFailed naming a column with a gap or an infinite number."""
    return np.column_stack([_numbers(table, name, team=team) for name in names])


def _numbers(table: pa.Table, name: str, *, team: str) -> Reals:
    values = plain_numbers(table, name)
    if not np.isfinite(values).all():
        raise JobFailed(f"the column {name!r} of {team} has values that are missing or infinite")
    return values


def plain_numbers(table: pa.Table, name: str) -> Reals:
    """One numeric column; what is missing is not a number."""
    return np.asarray(table[name].cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
