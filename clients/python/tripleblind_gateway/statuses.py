"""Snapshots of jobs, and what they leave behind."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from tripleblind_gateway.asset import Asset, TableAsset, asset_with
from tripleblind_gateway.errors import TripleblindAPIError
from tripleblind_gateway.session import Json, Session, session_or_default

if TYPE_CHECKING:
    import pandas as pd

_COMPLETE = 4
_ANY_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


class JobResult:
    """JobResult wraps the text output by a completed job.

    Some jobs have simple text output, some have made an asset.
    """

    raw_status: object

    def __init__(self, raw_status: object) -> None:
        self.raw_status = raw_status
        self._asset_id: UUID | None = _uuid_in(raw_status)
        self._session: Session | None = None

    def __repr__(self) -> str:
        return f"JobResult({self.raw_status!r})"

    @property
    def asset(self) -> Asset | None:
        """Identifier of the dataset created by the job; None if it made none."""
        return None if self._asset_id is None else asset_with(self._asset_id, session_or_default(self._session))

    @property
    def dataframe(self) -> "pd.DataFrame":
        """Dataframe of tabular output (shortcut for table.dataframe)."""
        return self.table.dataframe

    @property
    def table(self) -> TableAsset:
        """Table version of the dataset created by the job. Raises TripleblindAPIError where it made none."""
        asset = self.asset
        if not isinstance(asset, TableAsset):
            raise TripleblindAPIError("The job made no table." if asset is None else f"{asset} is no table.")
        return asset


@dataclass(frozen=True)
class JobStatus:
    """JobStatus is a snapshot of the state of a Job performing an operation.

    It is static: request a new one if the job is still running.
    """

    id: UUID
    job_id: UUID
    code: int
    status: str
    when: datetime
    communications: int
    error: str = ""
    _rest: Json = field(default_factory=dict, init=False, repr=False, compare=False)
    _sessions: list[Session] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def error_code(self) -> int | None:
        """Failure code, None if the job succeeded."""
        said: int | None = self._rest.get("error_code")
        return said if said is not None or not self.error else self.code

    @property
    def result(self) -> JobResult | None:
        """A JobResult for a successful run, None if the job failed."""
        result = self._rest.get("result")
        return None if self.code != _COMPLETE or result is None else result_of(result, *self._sessions)


def status_of(item: Json, session: Session) -> JobStatus:
    """As the gateway describes it."""
    status = JobStatus(
        id=UUID(item["id"]),
        job_id=UUID(item["job_id"]),
        code=item["code"],
        status=item["status"],
        when=datetime.fromisoformat(item["when"]),
        communications=item["communications"],
        error=item["error"],
    )
    status._rest.update(item)  # noqa: SLF001  (our own; what the reference's constructor does not take)
    status._sessions.append(session)  # noqa: SLF001  (as above)
    return status


def result_of(item: Json, session: Session | None = None) -> JobResult:
    """As the gateway describes it."""
    result = JobResult(item["raw_status"])
    result._asset_id = None if item["asset_id"] is None else UUID(item["asset_id"])  # noqa: SLF001  (as above)
    result._session = session  # noqa: SLF001
    return result


def _uuid_in(raw_status: object) -> UUID | None:
    found = _ANY_UUID.search(str(raw_status))
    return UUID(found[0]) if found else None
