"""SQL of another party over a table: run in a process of its own, which can reach nothing and is ended at a deadline."""

import json
import os
import subprocess
import sys

import pyarrow as pa

from network.protocols.party import JobFailed
from network.protocols.preprocessing.sql_limits import LIMITS, Limits

_PROCESS = (sys.executable, "-m", "network.protocols.preprocessing.sql_process")
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_LONGEST_TEXT, _LONGEST_LOG = 500, 10_000


def queried(table: pa.Table, statement: str, *, limits: Limits = LIMITS) -> pa.Table:
    """The statement's result over the table, which it knows as `data`.

    Raises JobFailed when it is not let in, or fails; the text tells no value of a row.
    """
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            _PROCESS,
            input=_told(table, statement, limits),
            capture_output=True,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            timeout=limits.deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise _failed(f"it was not done after {limits.deadline_s:g} s") from exc
    # The engine's own words stay here, in the log of the Access Point.
    sys.stderr.write(done.stderr.decode(errors="replace")[:_LONGEST_LOG])
    head, _, content = done.stdout.partition(b"\n")
    if done.returncode or not head:
        raise _failed("it used more memory or time than it may have")
    refused = json.loads(head)["refused"]
    if refused is not None:
        raise _failed(refused[:_LONGEST_TEXT])
    with pa.ipc.open_stream(content) as stream:
        return _plain(stream.read_all())


def _plain(table: pa.Table) -> pa.Table:
    """Decimals, which sums and literals are in SQL, as floats; texts in the usual layout."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.float64(), safe=False))
        elif pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.string()))
    return table


def _told(table: pa.Table, statement: str, limits: Limits) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    head = json.dumps({"statement": statement, "limits": limits.model_dump()})
    return head.encode() + b"\n" + bytes(sink.getvalue())


def _failed(why: str) -> JobFailed:
    return JobFailed(f"sql_transform: {why}")
