"""The protocol's view of one Access Point, inside the job's process."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID, uuid4

import msgspec
import pyarrow as pa
import pyarrow.parquet
from pydantic import ValidationError

from network.access_point import formats
from network.access_point.assets import SUFFIXES
from network.access_point.post import Post
from network.access_point.tasks import Task
from network.protocols.catalogue import OPERATIONS
from network.protocols.numeric_columns import MIN_RECORDS
from network.protocols.operation import Operation
from network.protocols.party import Dataset, JobFailed
from network.protocols.preprocessing.foresight import OPEN, Guard
from network.protocols.preprocessing.prepare import prepare
from network.protocols.preprocessor import ColumnChoice, Preprocessor

MAX_MESSAGE_BYTES = 1 << 20


class LocalParty:
    """Implements `network.protocols.party.Party` over files, HTTP and the pipe to the Access Point."""

    def __init__(self, task: Task, *, post: Post, out: BinaryIO) -> None:
        self._task = task
        self._post = post
        self._out = out
        self._prepared: dict[UUID, tuple[pa.Table, Mapping[str, str]]] = {}
        self.made: list[dict[str, Any]] = []

    @property
    def me(self) -> str:
        """The team whose Access Point this is."""
        return self._task.me

    @property
    def initiator(self) -> str:
        """The team that created the job."""
        return self._task.initiator

    @property
    def job_id(self) -> UUID:
        """The job."""
        return UUID(self._task.job_id)

    @property
    def datasets(self) -> Sequence[Dataset]:
        """The inputs, in the caller's order."""
        return [Dataset(asset_id=UUID(asset), team=self._task.owners[asset]) for asset in self._task.dataset]

    @property
    def params(self) -> Mapping[str, object]:
        """The caller's params, defaults included."""
        return self._task.params

    def table(self, dataset: Dataset) -> pa.Table:
        """The rows of a dataset held here, preprocessed."""
        return self._prepare(dataset)[0]

    def roles(self, dataset: Dataset) -> Mapping[str, str]:
        """The roles of its columns, after preprocessing."""
        return self._prepare(dataset)[1]

    def model(self) -> bytes:
        """The algorithm asset's bytes, where it is held."""
        return Path(self._task.held[str(self._task.model)].path).read_bytes()

    @property
    def model_team(self) -> str:
        """Who holds the algorithm asset."""
        return self._task.owners[str(self._task.model)]

    def send(self, team: str, topic: str, payload: bytes) -> None:
        """To another party."""
        self._post.send(team, topic, payload)

    def receive(self, team: str, topic: str) -> bytes:
        """From another party."""
        return self._post.receive(team, topic)

    def emit(self, message: Mapping[str, object]) -> None:
        """Onto the job's status stream."""
        content = msgspec.json.encode(message)
        if len(content) > MAX_MESSAGE_BYTES:
            raise JobFailed(f"a message on the status stream may have {MAX_MESSAGE_BYTES} bytes at most")
        self.say("message", content)

    def save_table(self, table: pa.Table) -> UUID:
        """Keep a table as an asset made by this job."""
        asset_id = uuid4()
        formats.store(table, self._made_file(asset_id, "table"))
        return self._note_made(asset_id, "table", columns=formats.columns(table), records=table.num_rows)

    def save_model(self, content: bytes) -> UUID:
        """Keep a trained model as an asset made by this job."""
        asset_id = uuid4()
        self._made_file(asset_id, "model").write_bytes(content)
        return self._note_made(asset_id, "model", columns=[], records=1)

    def say(self, verb: str, content: bytes) -> None:
        """One line to the Access Point."""
        self._out.write(verb.encode() + b"\t" + content + b"\n")
        self._out.flush()

    def _prepare(self, dataset: Dataset) -> tuple[pa.Table, Mapping[str, str]]:
        if dataset.asset_id not in self._prepared:
            held = self._task.held[str(dataset.asset_id)]
            table = pa.parquet.read_table(held.path)
            preprocessor = self._preprocessor(dataset)
            try:
                self._prepared[dataset.asset_id] = prepare(table, held.roles, preprocessor, guard=self._guard())
            except JobFailed as exc:
                raise JobFailed(f"{self.me}: {exc}") from exc
        return self._prepared[dataset.asset_id]

    def _preprocessor(self, dataset: Dataset) -> Preprocessor | None:
        given = self._task.preprocessor
        if given is None:
            return None
        place = 0 if len(given) == 1 else self._task.dataset.index(str(dataset.asset_id))
        # The Router has checked this too; an owner need not take its word for it.
        try:
            for operation in self._operations():
                _taken_by(operation).model_validate(given[place])
        except ValidationError as exc:
            raise JobFailed("the preprocessor is none that this operation takes") from exc
        return Preprocessor.model_validate(given[place])

    def _guard(self) -> Guard:
        if self.initiator == self.me:
            return OPEN
        hides_targets = any(operation.hides_targets for operation in self._operations())
        return Guard(hides_targets=hides_targets, min_records=MIN_RECORDS)

    def _operations(self) -> list[Operation]:
        return [operation for operation in OPERATIONS.values() if operation.module == self._task.module]

    def _made_file(self, asset_id: UUID, kind: str) -> Path:
        return Path(self._task.folder) / "made" / f"{asset_id}{SUFFIXES[kind]}"

    def _note_made(self, asset_id: UUID, kind: str, *, columns: list[dict[str, str]], records: int) -> UUID:
        _sync(self._made_file(asset_id, kind))
        name = f"{kind}-{str(asset_id)[:8]}"
        described = {"id": str(asset_id), "name": name, "kind": kind, "columns": columns, "records": records}
        self.made.append(described | {"file": f"{asset_id}{SUFFIXES[kind]}"})
        return asset_id


def _taken_by(operation: Operation) -> type[ColumnChoice]:
    if operation.preprocessor is None:
        raise JobFailed(f"{operation.name} takes no preprocessor")
    return operation.preprocessor


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
