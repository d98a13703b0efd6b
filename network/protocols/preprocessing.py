"""Apply a preprocessor to a table, at the Access Point that holds it."""

from collections.abc import Mapping

import pyarrow as pa

from network.protocols.party import JobFailed
from network.protocols.preprocessor import Preprocessor


def prepare(
    table: pa.Table, roles: Mapping[str, str], preprocessor: Preprocessor | None
) -> tuple[pa.Table, dict[str, str]]:
    """The selected columns, and their roles. Without a preprocessor everything stays as it is.

    A column added as target becomes the only one; a column that was target before is then a feature, as is one added
    without `target`. Identifiers stay identifiers. Raises JobFailed naming a column that is not there.
    """
    if preprocessor is None:
        return table, dict(roles)
    names = _selected(table, preprocessor)
    return table.select(names), {name: _role(name, roles, preprocessor=preprocessor) for name in names}


def _selected(table: pa.Table, preprocessor: Preprocessor) -> list[str]:
    added = [column.name for column in preprocessor.add_column]
    missing = [name for name in added if name not in table.column_names]
    if missing:
        raise JobFailed(f"the preprocessor adds a column that the table does not have: {', '.join(missing)}")
    return list(table.column_names) if preprocessor.all_columns else added


def _role(name: str, roles: Mapping[str, str], *, preprocessor: Preprocessor) -> str:
    added = {column.name: column.target for column in preprocessor.add_column}
    if added.get(name, False):
        return "target"
    before = roles.get(name, "feature")
    if before == "target" and (name in added or any(added.values())):
        return "feature"
    return before
