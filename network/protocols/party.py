"""What a protocol may ask of the Access Point it runs at.

A protocol is written once and runs in one process at every Access Point that takes part in the job; `me` tells it
which of them it is. It blocks: the process has nothing else to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An input of the job: which asset it is and which team holds it."""

    asset_id: UUID
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the job leaves behind: text for the caller and, where one was made, the asset (at the initiator)."""

    raw_status: str
    asset_id: UUID | None = None


class JobFailed(Exception):
    """The job cannot give a result; the text reaches the caller and must hold no row of data."""


class Party(Protocol):
    """One Access Point's part in one job."""

    @property
    def me(self) -> str:
        """The team whose Access Point this is."""

    @property
    def initiator(self) -> str:
        """The team that created the job: it alone emits messages and keeps the result."""

    @property
    def job_id(self) -> UUID:
        """The job; binds keys and masks to it."""

    @property
    def datasets(self) -> Sequence[Dataset]:
        """The inputs, in the order the caller gave them."""

    @property
    def params(self) -> Mapping[str, object]:
        """The caller's params, already valid against the operation's schema."""

    def table(self, dataset: Dataset) -> pa.Table:
        """The rows of a dataset held here, preprocessed as the job says. Others' raise KeyError."""

    def roles(self, dataset: Dataset) -> Mapping[str, str]:
        """Column name → identifier, feature or target, of a dataset held here."""

    def model(self) -> bytes:
        """The bytes of the algorithm asset the job runs; only where it is held (its owner's Access Point)."""

    @property
    def model_team(self) -> str:
        """The team that holds the algorithm asset; raises KeyError when the job has none."""

    def send(self, team: str, topic: str, payload: bytes) -> None:
        """Send to another party of this job; counted as a communication. Raises JobFailed when it stays away."""

    def receive(self, team: str, topic: str) -> bytes:
        """Wait for what `team` sent under `topic`, in order of sending. Raises JobFailed past the deadline."""

    def emit(self, message: Mapping[str, object]) -> None:
        """Put a message on the job's status stream. At the initiator only."""

    def save_table(self, table: pa.Table) -> UUID:
        """Keep a table as an asset of the initiator, made by this job. At the initiator only."""

    def save_model(self, content: bytes) -> UUID:
        """Keep a trained model as an asset of the initiator, made by this job. At the initiator only."""
