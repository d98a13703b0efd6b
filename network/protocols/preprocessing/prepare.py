"""Apply a preprocessor to a table, at the Access Point that holds it."""

from collections.abc import Mapping

import pyarrow as pa

from network.protocols.operation import Column, InvalidJob
from network.protocols.party import JobFailed
from network.protocols.preprocessing import dtypes, nulls, sql, transformers
from network.protocols.preprocessing.foresight import OPEN, Guard, chosen_columns, foresee, leaves_out_rows, target_of
from network.protocols.preprocessor import Preprocessor


def prepare(
    table: pa.Table, roles: Mapping[str, str], preprocessor: Preprocessor | None, *, guard: Guard = OPEN
) -> tuple[pa.Table, dict[str, str]]:
    """The table as a protocol may see it, and the roles of its columns. Without a preprocessor it stays as it is.

    A column added as target becomes the only one; a column that was target before is then a feature, as is one added
    without `target`. Identifiers stay identifiers, and do not stand beside rows that SQL or gaps have chosen.
    Raises JobFailed, which tells no value of a row.
    """
    if preprocessor is None:
        return table, dict(roles)
    if preprocessor.sql_transform is not None:
        table, roles = _queried(table, roles, preprocessor.sql_transform, guard=guard)
    table = _plain(table)
    after = _settled(table, roles, preprocessor, guard=guard)
    table = _stepped(table, _described(table, roles), preprocessor, guard=guard)
    table = table.select([column.name for column in after])
    known = {column.name: column.role for column in after}
    if preprocessor.dtype is not None:
        table = dtypes.cast(table, known, dtype=preprocessor.dtype)
    return _enough(table, preprocessor, guard=guard), known


def _queried(
    table: pa.Table, roles: Mapping[str, str], statement: str, *, guard: Guard
) -> tuple[pa.Table, dict[str, str]]:
    # What is withheld cannot come out under another name.
    withheld = {"identifier", "target"} if guard.hides_targets else {"identifier"}
    known = {name: role for name, role in roles.items() if role not in withheld}
    result = sql.queried(table.select(list(known)), statement)
    return result, {name: known.get(name, "feature") for name in result.column_names}


def _plain(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


def _described(table: pa.Table, roles: Mapping[str, str]) -> list[Column]:
    return [
        Column(name=field.name, dtype=str(field.type), role=roles.get(field.name, "feature")) for field in table.schema
    ]


def _settled(
    table: pa.Table, roles: Mapping[str, str], preprocessor: Preprocessor, *, guard: Guard
) -> tuple[Column, ...]:
    try:
        return foresee(_described(table, roles), preprocessor, guard=guard)
    except InvalidJob as exc:
        raise JobFailed(f"the preprocessor does not fit the table: {exc}") from exc


def _stepped(table: pa.Table, columns: list[Column], preprocessor: Preprocessor, *, guard: Guard) -> pa.Table:
    chosen = chosen_columns(columns, preprocessor, guard=guard)
    table = table.select([column.name for column in chosen])
    for replacement in preprocessor.replace:
        table = nulls.replaced(table, chosen, replacement)
    for step in preprocessor.handle_nulls:
        table = nulls.without_gaps(table, chosen, step, guard=guard)
    for transformer in preprocessor.add_data_transformer:
        table = transformers.transformed(table, transformer.column, transformer)
    for of_target in preprocessor.add_target_transformer:
        table = transformers.transformed(table, target_of(chosen, preprocessor), of_target)
    return table


def _enough(table: pa.Table, preprocessor: Preprocessor, *, guard: Guard) -> pa.Table:
    is_selection = preprocessor.sql_transform is not None or leaves_out_rows(preprocessor)
    if is_selection and table.num_rows < guard.min_records:
        least = guard.min_records
        raise JobFailed(f"the preprocessor leaves fewer than {least} rows, which would tell too much of each")
    return table
