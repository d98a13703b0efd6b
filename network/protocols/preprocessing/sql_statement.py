"""Which statements are let into the SQL engine: one SELECT over the table, of parts that are known to be harmless.

What is not listed in `sql_words` is refused, whatever it does.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from network.protocols.preprocessing.sql_words import DISGUISED, FUNCTIONS, PARTS

TABLE = "data"


class Refused(Exception):
    """The statement is not let in; the text is made of the statement alone."""


def check(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Raise Refused unless the statement is one SELECT over the table, of known parts. Nothing is executed."""
    tree = _parsed(connection, statement)
    parts = list(_parts(tree))
    tables = {TABLE} | {str(part["key"]).lower() for part in parts if "key" in part and "value" in part}
    for part in parts:
        _check_part(part)
        if part.get("type") == "BASE_TABLE":
            _check_table(part, tables)
        if part.get("type") == "COLUMN_REF":
            _check_column(part)
        if part.get("function_name") is not None:
            _check_function(part)


def _parsed(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    ((text,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [statement]).fetchall()
    document = json.loads(text)
    if document["error"]:
        raise Refused(f"it is not one query: {document['error_message']}")
    if len(document["statements"]) != 1:
        raise Refused(f"it holds {len(document['statements'])} statements; give one SELECT")
    return document["statements"][0]


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _check_part(part: dict[str, Any]) -> None:
    kind = part.get("type")
    # The type of a value is an object, that of a part of the statement a word.
    if isinstance(kind, str) and kind not in PARTS:
        raise Refused(f"{_spoken(kind)} is not offered")
    if part.get("sample") is not None or part.get("at_clause") is not None:
        raise Refused("a sample, or a table at some time, is not offered")


def _check_table(part: dict[str, Any], tables: set[str]) -> None:
    name = str(part["table_name"])
    if part["schema_name"] or part["catalog_name"] or name.lower() not in tables:
        raise Refused(f"there is no table {name!r}; the only one is {TABLE!r}")


def _check_column(part: dict[str, Any]) -> None:
    name = str(part["column_names"][0]).lower()
    if name in DISGUISED and len(part["column_names"]) == 1:
        raise Refused(f"{name} is not offered; write {TABLE}.{name} for a column of that name")


def _check_function(part: dict[str, Any]) -> None:
    name = str(part["function_name"])
    if part.get("schema") or part.get("catalog") or name.lower() not in FUNCTIONS:
        raise Refused(f"the function {name!r} is not offered")


def _spoken(kind: str) -> str:
    return kind.lower().replace("_", " ")
