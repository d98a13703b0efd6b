"""Tables as they are put: read, checked and kept."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

CSV, JSON, PARQUET, BYTES = "text/csv", "application/json", "application/vnd.apache.parquet", "application/octet-stream"
ARROW = "application/vnd.apache.arrow.stream"
_ROLES = {"patient_id": "identifier", "target": "target"}


class Unreadable(Exception):
    """The bytes are no table; the text says why without repeating them."""


def stored_from(source: Path, target: Path, *, media_type: str) -> pa.Table:
    """Read what was put, keep it as Parquet at `target`, answer the table."""
    try:
        table = pa.csv.read_csv(source) if media_type == CSV else pa.parquet.read_table(source)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise Unreadable(f"The bytes cannot be read as {media_type}.") from exc
    _check_text(table, media_type)
    _check_columns(table)
    if not table.num_rows:
        raise Unreadable("The table has no rows.")
    store(table, target)
    return table


def store(table: pa.Table, target: Path) -> None:
    """Write a table as it is kept."""
    pa.parquet.write_table(table, target)


def columns(table: pa.Table, roles: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """What the index says of each column; where nobody said, a role goes by the column's name."""
    known = _ROLES if roles is None else roles
    return [
        {"name": field.name, "dtype": str(field.type), "role": known.get(field.name, "feature")}
        for field in table.schema
    ]


def _check_columns(table: pa.Table) -> None:
    if not table.num_columns:
        raise Unreadable("The table has no columns.")
    if len(set(table.column_names)) != table.num_columns:
        raise Unreadable("Two columns have the same name; rename one.")
    if not all(table.column_names):
        raise Unreadable("A column has no name; give it one in the header line.")


def _check_text(table: pa.Table, media_type: str) -> None:
    for place, field in enumerate(table.schema, start=1):
        # A CSV column that is not UTF-8 is read as bytes; a name that is not cannot be written as JSON.
        if (media_type == CSV and pa.types.is_binary(field.type)) or not _is_text(field):
            raise Unreadable(f"Column {place} is not text in UTF-8; encode the file as UTF-8.")


def _is_text(field: pa.Field) -> bool:
    try:
        return "\N{REPLACEMENT CHARACTER}" not in field.name
    except UnicodeDecodeError:
        return False
