"""Jobs: computations coordinated by the Router amongst one or more Access Points.

The names, parameters and meanings are those of the public reference of `tripleblind.job`; where the gateway knows more,
a Job has it besides (`phase`, `message`, `why`).
"""

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from tripleblind_gateway.asset import Asset, ModelAsset, uploaded
from tripleblind_gateway.errors import TripleblindAPIError, TripleblindProcessError
from tripleblind_gateway.formatting import lines_and_line, progress_of
from tripleblind_gateway.operation import Operation
from tripleblind_gateway.preprocessor import Builder, Package
from tripleblind_gateway.session import Json, Session, session_or_default
from tripleblind_gateway.statuses import JobResult, JobStatus, result_of, status_of
from tripleblind_gateway.streams import RemoteStatusOutputStream, StatusOutputStream, events

__all__ = [
    "AssetUsageProps",
    "Job",
    "JobResult",
    "JobStatus",
    "RemoteStatusOutputStream",
    "StatusOutputStream",
    "create_job",
    "fetch_asset",
    "status_list",
]

Dataset = Asset | str | Path | Package

_THROTTLE_S = 1.0
_PAGE = 200
# How long one call waits; a session gives an answer longer.
_WAITING_S = 45
_FINAL = ("complete", "error", "cancelled", "killed", "denied")


@dataclass
class AssetUsageProps:
    """Properties for this usage of an asset in the context of a specific job."""

    status: str
    """Required permission to use this asset: both | alg | data."""


class Job:
    """A single operation involving an algorithm or training protocol, some form of data and any parameters for it."""

    id: UUID
    job_name: str
    metadata: object
    created: datetime
    owner: dict[str, str]
    dataset: "list[Asset]"
    preprocessor: str
    operation: Asset | Operation
    waiting_on: "list[dict[str, Any]] | None"
    status: int
    model_status: "dict[str, Any] | None"

    def __init__(  # noqa: PLR0917  (as in the reference)
        self,
        id: UUID,  # noqa: A002  (the reference's name)
        job_name: str,
        metadata: object,
        created: datetime,
        owner: dict[str, str],
        dataset: "list[Asset]",
        preprocessor: str,
        operation: Asset | Operation,
        waiting_on: "list[dict[str, Any]] | None" = None,
        status: int = 0,
        model_status: "dict[str, Any] | None" = None,
    ) -> None:
        self.id = id
        self.job_name = job_name
        self.metadata = metadata
        self.created = created
        self.owner = owner
        self.dataset = dataset
        self.preprocessor = preprocessor
        self.operation = operation
        self.waiting_on = waiting_on
        self.status = status
        self.model_status = model_status
        self._session: Session | None = None
        self._seen: Json = {}
        self._looked_s = 0.0

    def __repr__(self) -> str:
        return f"Job({self.job_name!r}, {self.id}, {self.phase})"

    @staticmethod
    def active() -> "Job | None":
        """The newest of the jobs that run; None if none does."""
        found = Job.find_all(job_status="active", max=1)
        return found[0] if found else None

    @staticmethod
    def find(
        job_name: "str | re.Pattern[str] | None" = None,
        job_id: str | None = None,
        job_status: str | None = None,
        session: Session | None = None,
    ) -> "Job | None":
        """Return a job with a name or id that matches the search pattern, or None if not found.

        `job_status` is 'active', 'waiting' or 'history'. A pattern is the gateway's to search for (RE2).
        Raises TripleblindProcessError where several jobs match.
        """
        session = session_or_default(session)
        try:
            return _job_of(session.get("/v1/jobs/find", _wanted(job_name, job_id, job_status)), session)
        except TripleblindAPIError as error:
            if error.code == "job-not-found":
                return None
            if error.code == "job-ambiguous":
                raise TripleblindProcessError(str(error)) from error
            raise

    @staticmethod
    def find_all(
        job_name: "str | re.Pattern[str] | None" = None,
        job_id: str | None = None,
        job_status: str | None = None,
        session: Session | None = None,
        max: int | None = None,  # noqa: A002  (the reference's name)
    ) -> "list[Job] | None":
        """Return a list of jobs with a name or id that matches, newest first, or None if no match is found."""
        session = session_or_default(session)
        wanted = _wanted(job_name, job_id, job_status)
        found: list[Job] = []
        cursor = None
        while max is None or len(found) < max:
            limit = _PAGE if max is None else min(_PAGE, max - len(found))
            page = session.get("/v1/jobs", {**wanted, "limit": limit, "cursor": cursor})
            found += (_job_of(item, session) for item in page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found or None

    @property
    def phase(self) -> str:
        """Where it stands, in the gateway's words: 'waiting_on_permission', 'in_progress', 'complete' and so on."""
        return str(self._seen.get("phase", "created"))

    @property
    def message(self) -> str:
        """Where it stands, and why, in a sentence."""
        return str(self._seen.get("message", ""))

    @property
    def result(self) -> JobResult | None:
        """What it made; None before it is complete, and where it failed."""
        found = self._seen.get("result")
        if found is None and self.phase not in _FINAL:
            self.update_status()
            found = self._seen.get("result")
        return None if found is None else result_of(found, self._session)

    @property
    def success(self) -> bool:
        """Whether it is complete."""
        if self.phase not in _FINAL:
            self.update_status()
        return self.phase == "complete"

    def cancel(self, session: Session | None = None) -> bool:
        """Cancel a pending (waiting on permissions or queued) job.

        This will NOT stop a job which has already begun calculation: see kill. True if it was cancelled.
        """
        return self._done("cancel", session, refused=("job-not-pending", "job-finished")) and self.phase == "cancelled"

    def get_status_stream(self, session: Session | None = None) -> StatusOutputStream:
        """Obtain what produces its status messages."""
        return StatusOutputStream(self, self._session_or(session))

    def handle_keyboard_interrupt(self, auto_cleanup: bool = True, session: Session | None = None) -> None:
        """For interactive scripts, prompt the user when a Ctrl+C is detected whether the job is to be stopped, too.

        Nobody is asked of a job that is over, or where nobody can answer: it goes on then. Temporary assets go with their
        job; with `auto_cleanup` those of one that was never submitted go as well, since it is cancelled.
        """
        self.update_status(session, update_throttle=0)
        if self.phase in _FINAL:
            return
        if self.phase == "created":
            if auto_cleanup:
                self.cancel(session)
            return
        if sys.stdin is not None and sys.stdin.isatty() and _is_wanted(f"Stop the job '{self.job_name}', too?"):
            self.kill(session)
        else:
            print(f"The job '{self.job_name}' goes on; its id is {self.id}.")

    def kill(self, session: Session | None = None) -> bool:
        """Immediately terminate a job, whether it calculates or waits. True once every Access Point has confirmed."""
        if self._done("kill", session, refused=("job-finished",)) and self.phase not in _FINAL:
            self._wait_once(self._session_or(session))
        return self.phase == "killed"

    def pretty_status_msg(self) -> str:
        """Where it stands, as people read it."""
        return self.message

    def submit(self, input_file: BinaryIO | None = None, session: Session | None = None) -> bool:
        """Begin execution. True if it was started; False, and a sentence on standard error, if it was refused.

        `input_file` is deprecated in the reference and not taken here: name the file as a dataset of create_job.
        """
        if input_file is not None:
            raise TripleblindAPIError("A file is given to create_job, as a dataset; it is uploaded there.")
        return self._done("submit", session, refused=None)

    def update_router_status(self, session: Session | None = None) -> bool:
        """Fetch the latest status from the Router; `waiting_on` as well. True if it has changed."""
        before = self._seen.get("market_status"), self._seen.get("waiting_on")
        self.update_status(session, update_throttle=0)
        return before != (self._seen.get("market_status"), self._seen.get("waiting_on"))

    def update_status(self, session: Session | None = None, update_throttle: float | None = None) -> bool:
        """Fetch the latest status for this job. True if it was found and has been updated.

        `update_throttle`: so many seconds after the last time nothing is asked, by default 1.
        """
        throttle_s = _THROTTLE_S if update_throttle is None else update_throttle
        if time.monotonic() < self._looked_s + throttle_s:
            return False
        session = self._session_or(session)
        try:
            self._see(session.get(f"/v1/jobs/{self.id}", {"refresh": "true"}))
        except TripleblindAPIError as error:
            if error.code in ("job-not-found", "job-pruned"):
                return False
            raise
        return True

    def wait_for_completion(
        self, silent: bool = False, wait_for_permission: bool = True, session: Session | None = None
    ) -> None:
        """Wait for a job to complete, optionally waiting for permissions.

        Unless `silent`, its messages are shown meanwhile, and a bar where they tell how far it has come. Without
        `wait_for_permission` it returns at once where permission is missing. Ctrl-C asks whether to stop the job, too.
        Raises TripleblindProcessError where it fails, or is stopped or denied.
        """
        session = self._session_or(session)
        try:
            self._wait(session, wait_for_permission=wait_for_permission) if silent else self._show(
                session, wait_for_permission=wait_for_permission
            )
        except KeyboardInterrupt:
            self.handle_keyboard_interrupt(session=session)
            raise
        if self.phase in _FINAL and self.phase != "complete":
            raise TripleblindProcessError(self.message or f"The job is {self.phase}.")

    def waiting_on_permission(self) -> bool:
        """Tests if the job is waiting for one or more access permission grant(s)."""
        self.update_status()
        return self.phase == "waiting_on_permission"

    def waiting_on_queue(self) -> bool:
        """Tests if the job is in the queue."""
        self.update_status()
        return self.phase == "waiting_on_queue"

    def _wait(self, session: Session, *, wait_for_permission: bool) -> None:
        is_over = False
        while not is_over:
            self._wait_once(session, wait_for_permission=wait_for_permission)
            is_over = self.phase in (_FINAL if wait_for_permission else (*_FINAL, "waiting_on_permission"))

    def _wait_once(self, session: Session, *, wait_for_permission: bool = True) -> None:
        query = {"timeout": _WAITING_S, "wait_for_permission": str(wait_for_permission).lower()}
        self._see(session.get(f"/v1/jobs/{self.id}/wait", query))

    def _show(self, session: Session, *, wait_for_permission: bool) -> None:
        teller = _Teller()
        for event in events(session, self.id):
            if event["event"] == "message":
                teller.tell(event["data"])
            is_waiting = event["event"] == "phase" and event["data"]["phase"] == "waiting_on_permission"
            if is_waiting and not wait_for_permission and self._is_at("waiting_on_permission", session):
                break
        teller.end()
        self._see(session.get(f"/v1/jobs/{self.id}"))

    def _is_at(self, phase: str, session: Session) -> bool:
        """Whether it still is: a stream begins with what was."""
        self._see(session.get(f"/v1/jobs/{self.id}"))
        return self.phase == phase

    def _done(self, verb: str, session: Session | None, *, refused: Sequence[str] | None) -> bool:
        """Whether it was taken. `refused`: the codes by which the gateway says no; None: any. What it says is shown."""
        session = self._session_or(session)
        try:
            answer = session.do(f"/v1/jobs/{self.id}/{verb}")
        except TripleblindAPIError as error:
            if not 400 <= error.status < 500 or (refused is not None and error.code not in refused):
                raise
            print(error, file=sys.stderr)
            return False
        self._see(answer.get("job", answer))
        return True

    def _session_or(self, session: Session | None) -> Session:
        return session_or_default(session or self._session)

    def _see(self, item: Json) -> None:
        self._seen = item
        self._looked_s = time.monotonic()
        self.status = item["status"] if item["status"] is not None else self.status
        self.waiting_on = item["waiting_on"]
        self.model_status = item["model_status"]

    @property
    def _market_status(self) -> str | None:
        said: str | None = self._seen.get("market_status")
        return said


class _Teller:
    """Shows messages: one line each, and a bar that moves in its place on a terminal."""

    def __init__(self) -> None:
        self._is_open = False

    def tell(self, message: object) -> None:
        lines, line = lines_and_line(message)
        progress = progress_of(message)
        if progress is not None and sys.stdout.isatty():
            print(f"\r\x1b[K{progress}", end="", flush=True)
            self._is_open = True
            return
        self.end()
        print(line if progress is not None else "\n".join(lines), flush=True)

    def end(self) -> None:
        if self._is_open:
            print()
        self._is_open = False


def create_job(  # noqa: PLR0917  (as in the reference)
    job_name: str,
    operation: Asset | Operation,
    dataset: "Dataset | list[Dataset] | None" = None,
    preprocessor: "Builder | Sequence[Builder] | None" = None,
    params: dict[str, Any] | None = None,
    session: Session | None = None,
) -> Job | None:
    """Create a job for execution.

    `dataset`: Assets, or files (CSV or Parquet), which become temporary assets that go with the job. A str is a file's name,
    or else an asset's UUID or `team/name`. Raises TripleblindAPIError where the number of preprocessors is neither 1 nor that
    of the datasets, and where the gateway refuses it otherwise. None if the operation is invalid.
    """
    if not isinstance(operation, Asset | Operation):
        return None
    session = session_or_default(session)
    datasets = dataset if isinstance(dataset, list) else [] if dataset is None else [dataset]
    builders = (
        list(preprocessor) if isinstance(preprocessor, Sequence) else [] if preprocessor is None else [preprocessor]
    )
    if builders and len(builders) not in (1, len(datasets)):
        raise TripleblindAPIError(f"There are {len(builders)} preprocessors; one is needed, or one for each dataset.")
    body = {
        "job_name": job_name,
        "operation": str(operation.uuid) if isinstance(operation, Asset) else operation.name,
        "dataset": [_dataset(one, session) for one in datasets],
        "preprocessor": [one.as_json() for one in builders] or None,
        "params": params or {},
    }
    try:
        return _job_of(session.do("/v1/jobs", body), session)
    except TripleblindAPIError as error:
        if error.facts.get("field") == "operation":
            return None
        raise


def fetch_asset(
    algorithm: Asset | None = None, dataset: "Asset | list[Asset] | None" = None, session: Session | None = None
) -> AssetUsageProps | None:
    """Retrieve the permission information for an asset; None if it is not found, or no permission is needed."""
    datasets = dataset if isinstance(dataset, list) else [] if dataset is None else [dataset]
    query = {
        "algorithm": None if algorithm is None else str(algorithm.uuid),
        "dataset": [str(one.uuid) for one in datasets],
    }
    try:
        status = session_or_default(session).get("/v1/assets/usage", query)["status"]
    except TripleblindAPIError as error:
        if error.code == "asset-not-found":
            return None
        raise
    return None if status is None else AssetUsageProps(status=status)


def status_list(session: Session | None = None, job_id: str | None = None) -> "list[JobStatus]":
    """Fetch the status reports of all jobs (running or completed), the newest job first."""
    session = session_or_default(session)
    found: list[JobStatus] = []
    cursor = None
    while True:
        page = session.get("/v1/statuses", {"job_id": job_id, "limit": _PAGE, "cursor": cursor})
        found += (status_of(item, session) for item in page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def _job_of(item: Json, session: Session) -> Job:
    """As the gateway describes it."""
    job = Job(
        id=UUID(item["id"]),
        job_name=item["job_name"],
        metadata={"params": item["params"], "labels": item["labels"]},
        created=datetime.fromisoformat(item["created"]),
        owner=item["owner"],
        dataset=[Asset(UUID(one), session=session) for one in item["dataset"]],
        preprocessor="" if item["preprocessor"] is None else json.dumps(item["preprocessor"]),
        operation=_operation(item["operation"], session),
    )
    job._session = session  # noqa: SLF001  (our own; what the reference's constructor does not take)
    job._see(item)  # noqa: SLF001
    return job


def _operation(said: str, session: Session) -> Asset | Operation:
    """A trained model's UUID, or a name."""
    try:
        return ModelAsset(UUID(said), session=session)
    except ValueError:
        return Operation(said)


def _dataset(one: Dataset, session: Session) -> str:
    """How the gateway calls it; of a file an asset is made."""
    if isinstance(one, Asset):
        return str(one.uuid)
    file = one.path if isinstance(one, Package) else Path(one)
    if isinstance(one, str) and not file.is_file():
        return one
    if not file.is_file():
        raise TripleblindAPIError(f"There is no file {file}.")
    return str(uploaded(file, session).uuid)


def _wanted(
    job_name: "str | re.Pattern[str] | None", job_id: str | None, job_status: str | None
) -> dict[str, str | None]:
    """As the gateway asks for it."""
    wanted = {"id": None if job_id is None else str(job_id), "job_status": job_status}
    if isinstance(job_name, re.Pattern):
        caseless = "(?i)" if job_name.flags & re.IGNORECASE else ""
        return {**wanted, "name_regex": f"{caseless}{job_name.pattern}"}
    return {**wanted, "name": job_name}


def _is_wanted(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
