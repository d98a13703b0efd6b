"""The type that a table's numbers are given at the end."""

from collections.abc import Mapping

import pyarrow as pa

from network.protocols.numeric_columns import is_numeric
from network.protocols.party import JobFailed


def cast(table: pa.Table, roles: Mapping[str, str], *, dtype: str) -> pa.Table:
    """Every numeric feature and target as this type. Floats are rounded; whole numbers must be whole and fit."""
    target = pa.type_for_alias(dtype)
    for place, field in enumerate(table.schema):
        if roles[field.name] != "identifier" and is_numeric(field.type):
            values = _cast(table[field.name], target, name=field.name)
            table = table.set_column(place, field.name, values)
    return table


def _cast(values: pa.ChunkedArray, target: pa.DataType, *, name: str) -> pa.ChunkedArray:
    try:
        if pa.types.is_floating(target):
            return values.cast(pa.float64(), safe=False).cast(target, safe=False)
        return values.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise JobFailed(f"the column {name!r} has values that {target} cannot hold; round them in SQL first") from exc
