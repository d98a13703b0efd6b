"""Rows of a stored table in the form that is asked for, a batch at a time: no more than one is held."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from network.access_point.formats import ARROW, CSV, JSON, PARQUET

_BATCH_ROWS = 16_384
_Writer = Callable[[pa.PythonFile, pa.Schema], AbstractContextManager[Any]]
_WRITERS: dict[str, _Writer] = {
    CSV: pa.csv.CSVWriter,
    ARROW: pa.ipc.new_stream,
    PARQUET: pa.parquet.ParquetWriter,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Some rows of a table of `records`: from `offset`, as many as `limit` if there is one."""

    records: int
    offset: int = 0
    limit: int | None = None

    @property
    def end(self) -> int:
        """The row after the last one."""
        whole = max(self.records, self.offset)
        return whole if self.limit is None else min(self.offset + self.limit, whole)

    @property
    def next_offset(self) -> int | None:
        """Where to go on; None where the table ends."""
        return self.end if self.end < self.records else None


def opened(source: Path) -> pa.parquet.ParquetFile:
    """The stored table; what is read of it stays the same when another takes its place."""
    return pa.parquet.ParquetFile(source)


def can_be(file: pa.parquet.ParquetFile, media_type: str) -> bool:
    """Whether the table has this form: CSV has none for values within values."""
    return media_type != CSV or not any(pa.types.is_nested(dtype) for dtype in file.schema_arrow.types)


def rendered(file: pa.parquet.ParquetFile, window: Window, *, media_type: str) -> Iterator[bytes]:
    """The rows of the window as bytes, in pieces; the file is closed after the last one."""
    with file:
        batches = _batches(file, window)
        if media_type == JSON:
            yield from _json(file.schema_arrow, batches, window)
        else:
            yield from _written(file.schema_arrow, batches, _WRITERS[media_type])


def _batches(file: pa.parquet.ParquetFile, window: Window) -> Iterator[pa.RecordBatch]:
    groups, at = _groups(file, window)
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups) if groups else ():
        low, high = max(window.offset - at, 0), min(window.end - at, batch.num_rows)
        at += batch.num_rows
        if low < high:
            yield batch.slice(low, high - low)
        if at >= window.end:
            return


def _groups(file: pa.parquet.ParquetFile, window: Window) -> tuple[list[int], int]:
    """The row groups that hold rows of the window, and the row at which the first of them starts."""
    groups: list[int] = []
    first = at = 0
    for number in range(file.metadata.num_row_groups):
        after = at + file.metadata.row_group(number).num_rows
        if at < window.end and window.offset < after:
            first = first if groups else at
            groups.append(number)
        at = after
    return groups, first


def _json(schema: pa.Schema, batches: Iterator[pa.RecordBatch], window: Window) -> Iterator[bytes]:
    yield b'{"columns":' + msgspec.json.encode(schema.names) + b',"rows":['
    separator = b""
    for batch in batches:
        rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        # The brackets of the list are those of the whole.
        yield separator + msgspec.json.encode(rows, enc_hook=str)[1:-1]
        separator = b","
    rest = {"offset": window.offset, "records": window.records, "next_offset": window.next_offset}
    yield b"]," + msgspec.json.encode(rest)[1:]


def _written(schema: pa.Schema, batches: Iterator[pa.RecordBatch], writer_of: _Writer) -> Iterator[bytes]:
    pieces = _Pieces()
    with pa.PythonFile(pieces, mode="w") as sink, writer_of(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield pieces.taken()
    yield pieces.taken()


class _Pieces:
    """What a writer takes for a file: it holds what was written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        """Append; what is given may be reused by the writer."""
        self._pieces.append(bytes(content))
        self._at += len(content)
        return len(content)

    def tell(self) -> int:
        """How much was written."""
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """No more comes."""
        self.closed = True

    def taken(self) -> bytes:
        """What was written since it was last asked."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content
