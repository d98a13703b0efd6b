"""Encoders, bins and scalers. What they go by is given, so that they do the same to the rows of every owner.

The arithmetic is that of scikit-learn's transformers of these names, fitted to what is given.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.numeric_columns import plain_numbers
from network.protocols.party import JobFailed
from network.protocols.preprocessing.foresight import names_after
from network.protocols.preprocessing.steps import (
    Binning,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    Transformer,
    Value,
)


def transformed(table: pa.Table, name: str, step: Transformer) -> pa.Table:
    """The table with what the transformer makes of the column in its place."""
    place = table.column_names.index(name)
    made = _columns(table, name, step)
    table = table.remove_column(place)
    for offset, (new, values) in enumerate(zip(names_after(name, step), made, strict=True)):
        table = table.add_column(place + offset, new, pa.array(values))
    return table


def _columns(table: pa.Table, name: str, step: Transformer) -> Sequence[np.typing.NDArray[np.number]]:
    if isinstance(step, OneHotEncoder):
        codes = _codes(table[name], step.categories)
        if step.handle_unknown == "error":
            _check_known(codes, name)
        return _indicators(codes, range(int(step.drop == "first"), len(step.categories)))
    if isinstance(step, OrdinalEncoder):
        codes = _codes(table[name], step.categories)
        _check_known(codes, name)
        return [codes]
    numbers = plain_numbers(table, name)
    if isinstance(step, Binning):
        bins = _bins(numbers, step, name=name)
        return [bins] if step.encode == "ordinal" else _indicators(bins, range(step.count))
    return [_scaled(numbers, step)]


def _codes(values: pa.ChunkedArray, categories: Sequence[Value]) -> np.typing.NDArray[np.int64]:
    codes = np.full(len(values), -1, dtype=np.int64)
    wide = values.cast(pa.float64()) if any(isinstance(value, float) for value in categories) else values
    for code, category in enumerate(categories):
        try:
            wanted = pa.scalar(category, wide.type)
        except (pa.ArrowException, OverflowError):
            # No value of this type is that category.
            continue
        codes[np.asarray(pc.fill_null(pc.equal(wide, wanted), fill_value=False))] = code
    return codes


def _check_known(codes: np.typing.NDArray[np.int64], name: str) -> None:
    if (codes < 0).any():
        raise JobFailed(f"the column {name!r} has values that are missing or none of the categories")


def _indicators(codes: np.typing.NDArray[np.int64], among: range) -> list[np.typing.NDArray[np.int8]]:
    return [(codes == code).astype(np.int8) for code in among]


def _bins(numbers: Reals, step: Binning, *, name: str) -> np.typing.NDArray[np.int64]:
    if np.isnan(numbers).any():
        raise JobFailed(f"the column {name!r} has missing values, which belong to no bin")
    return np.searchsorted(_edges(step)[1:-1], numbers, side="right").astype(np.int64)


def _edges(step: Binning) -> Reals:
    if step.edges is not None:
        return np.array(step.edges)
    low, high = step.range or (0.0, 1.0)
    return np.linspace(low, high, num=step.count + 1)


def _scaled(numbers: Reals, step: StandardScaler | MinMaxScaler) -> Reals:
    if isinstance(step, StandardScaler):
        return (numbers - step.mean) / step.scale
    low, high = step.feature_range
    return low + (numbers - step.min) / (step.max - step.min) * (high - low)
