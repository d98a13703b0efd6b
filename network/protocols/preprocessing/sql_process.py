"""The process that runs one SQL statement over one table: `python -m network.protocols.preprocessing.sql_process`.

On standard input come the statement, as a line of JSON, and the table as an Arrow stream. On standard output goes
a line of JSON, `{"refused": why | null}`, and, where nothing was refused, the result as an Arrow stream. The engine's own
words, which may repeat values of rows, go to standard error alone.
"""

import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from network.protocols.preprocessing import sql_statement
from network.protocols.preprocessing.sql_limits import Limits
from network.protocols.preprocessing.sql_statement import TABLE, Refused

_BATCH_ROWS = 50_000
_OWN_SIZE = Path("/proc/self/statm")

# How the engine's words begin, and what is told of them: the rest would repeat the value.
_TOO_MUCH = "it needs more memory than it may have"
_KINDS = {
    "Conversion Error": "a value cannot be converted to the type that is asked for",
    "Out of Range Error": "a number leaves the range of its type",
    "Out of Memory Error": _TOO_MUCH,
    "Invalid Input Error": "a function was given a value that it does not take",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A statement, the table it is about, and what it may use."""

    statement: str
    table: pa.Table
    limits: Limits


def main() -> int:
    """Run the statement; 0 when there is an answer, be it a refusal."""
    work = _told()
    # Whatever the engine loads, it loads here: later it can open nothing.
    with (
        open_engine(work.table.schema.empty_table(), work.limits) as dry,
        open_engine(work.table, work.limits) as engine,
    ):
        _shut_in(work.limits)
        return _answered(work, dry=dry, engine=engine)


def _answered(work: Work, *, dry: duckdb.DuckDBPyConnection, engine: duckdb.DuckDBPyConnection) -> int:
    try:
        try_without_rows(dry, work.statement)
        reader = engine.sql(work.statement).to_arrow_reader(_BATCH_ROWS)
        result = _within(reader, work.limits)
    except Refused as exc:
        return _answer(str(exc))
    except MemoryError:
        return _answer(_TOO_MUCH)
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        # Past the first rows the engine's words come through Arrow.
        sys.stderr.write(f"sql_transform: {exc}\n")
        return _answer(_kind(str(exc)))
    return _answer(None, result)


def _kind(words: str) -> str:
    return next(
        (told for start, told in _KINDS.items() if words.startswith(start)), "it fails on the rows of the table"
    )


def _told() -> Work:
    head = json.loads(sys.stdin.buffer.readline())
    with pa.ipc.open_stream(sys.stdin.buffer) as stream:
        table = stream.read_all()
    return Work(statement=head["statement"], table=table, limits=Limits.model_validate(head["limits"]))


def _shut_in(limits: Limits) -> None:
    """From here on: no new file or socket, nothing written, no more memory and time than allowed."""
    for what, most in (
        (resource.RLIMIT_AS, _most_memory(limits)),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _most_memory(limits: Limits) -> int:
    if not _OWN_SIZE.exists():
        return resource.RLIM_INFINITY
    return int(_OWN_SIZE.read_text().split()[0]) * resource.getpagesize() + limits.more_bytes


def open_engine(table: pa.Table, limits: Limits) -> duckdb.DuckDBPyConnection:
    """An engine in memory that knows this table and nothing else, and whose settings can no longer be changed."""
    options = {
        "threads": "1",
        "memory_limit": f"{limits.engine_bytes}B",
        "temp_directory": "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_unsigned_extensions": "false",
        "python_enable_replacements": "false",
        "python_scan_all_frames": "false",
    }
    connection = duckdb.connect(":memory:", config=dict(options))
    connection.register(TABLE, table)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    connection.sql(f"SELECT * FROM {TABLE} LIMIT 0").to_arrow_reader(_BATCH_ROWS).read_all()  # noqa: S608  # our name
    return connection


def try_without_rows(engine: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Raise Refused for what is wrong with the statement itself: without rows the engine's words can hold no value of one."""
    try:
        sql_statement.check(engine, statement)
        _check_columns(engine.sql(statement).to_arrow_reader(_BATCH_ROWS).schema)
    except duckdb.Error as exc:
        raise Refused(str(exc).partition("\n")[0]) from exc


def _check_columns(schema: pa.Schema) -> None:
    if len(set(schema.names)) != len(schema):
        raise Refused("two columns of the result have the same name; rename one with AS")
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise Refused(f"the column {nested[0]!r} of the result holds no plain values")


def _within(reader: pa.RecordBatchReader, limits: Limits) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows > limits.rows or size > limits.result_bytes:
            raise Refused(f"its result has more than {limits.rows} rows or {limits.result_bytes} bytes")
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)


def _answer(refused: str | None, result: pa.Table | None = None) -> int:
    sys.stdout.buffer.write(json.dumps({"refused": refused}).encode() + b"\n")
    if result is not None:
        with pa.ipc.new_stream(sys.stdout.buffer, result.schema) as stream:
            stream.write_table(result)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
