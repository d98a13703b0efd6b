"""Replacements and missing values. Which columns a step is for was settled before: here it fits."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from network.protocols.operation import Column
from network.protocols.party import JobFailed
from network.protocols.preprocessing.foresight import Guard
from network.protocols.preprocessing.kinds import fits_nulls, fits_replacement, reached
from network.protocols.preprocessing.steps import NullHandling, Replacement, Value


def replaced(table: pa.Table, columns: Sequence[Column], step: Replacement) -> pa.Table:
    """The table with the old value gone from the columns that the step is for."""
    for column in reached(columns, step.column, fits=fits_replacement(step)):
        table = _set(table, column.name, _replaced(table[column.name], step))
    return table


def without_gaps(table: pa.Table, columns: Sequence[Column], step: NullHandling, *, guard: Guard) -> pa.Table:
    """The table with the gaps of the columns that the step is for filled in, or the rows that have one left out."""
    if step.strategy == "drop":
        return _complete(table, _dropped_for(columns, step, guard=guard))
    for column in reached(columns, step.column, fits=fits_nulls(step)):
        values = marked(table[column.name])
        if values.null_count:
            table = _set(table, column.name, _filled(values, _value(values, step, name=column.name)))
    return table


def marked(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values, where a float that is not a number is missing."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _replaced(values: pa.ChunkedArray, step: Replacement) -> pa.ChunkedArray:
    wide = values if _holds(values.type, step.old) and _holds(values.type, step.new) else values.cast(pa.float64())
    is_old = pc.fill_null(pc.equal(wide, pa.scalar(step.old, wide.type)), fill_value=False)
    return pc.if_else(is_old, pa.scalar(step.new, wide.type), wide)


def _filled(values: pa.ChunkedArray, value: Value) -> pa.ChunkedArray:
    wide = values if _holds(values.type, value) else values.cast(pa.float64())
    return pc.fill_null(wide, pa.scalar(value, wide.type))


def _holds(dtype: pa.DataType, value: Value | None) -> bool:
    try:
        return bool(pa.scalar(value, dtype).as_py() == value)
    except (pa.ArrowException, OverflowError, TypeError):
        return False


def _dropped_for(columns: Sequence[Column], step: NullHandling, *, guard: Guard) -> list[str]:
    if step.column is not None:
        return [step.column]
    roles = {"feature"} if guard.hides_targets else {"feature", "target"}
    return [column.name for column in columns if column.role in roles]


def _complete(table: pa.Table, names: Sequence[str]) -> pa.Table:
    keep = np.ones(table.num_rows, dtype=bool)
    for name in names:
        keep &= np.asarray(pc.is_valid(marked(table[name])))
    return table.filter(pa.array(keep))


def _value(values: pa.ChunkedArray, step: NullHandling, *, name: str) -> Value:
    if step.value is not None:
        return step.value
    if values.null_count == len(values):
        raise JobFailed(f"the column {name!r} has no value from which a {step.strategy} could be taken")
    found: Value = _learned(values.drop_null(), step)
    return found


def _learned(values: pa.ChunkedArray, step: NullHandling) -> Value:
    if step.strategy == "most_frequent":
        counted = values.value_counts().to_pylist()
        most = max(entry["counts"] for entry in counted)
        # The smallest on a tie, as in scikit-learn.
        return min(entry["values"] for entry in counted if entry["counts"] == most)  # type: ignore[no-any-return]
    numbers = np.asarray(values.cast(pa.float64()))
    return float(np.mean(numbers) if step.strategy == "mean" else np.median(numbers))


def _set(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
