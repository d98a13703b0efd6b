"""Both sides' records of every job, read when all is over: the gateway's, the Router's and the Access Points' own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.soak.asking import Answer, Asking, Json
from tests.soak.jobs import Begun
from tests.soak.router import FINAL, Router
from tests.soak.stage import ADMIN

_PAGE = 1000
_JOBS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job. `documents` and `lines` are the Router's and the Access Point's; `history`, `shown` and `actions` the gateway's."""

    id: str
    created_by: str | None
    answers: tuple[Answer, ...]
    documents: tuple[Json, ...]
    lines: tuple[Json, ...]
    history: tuple[Json, ...]
    shown: Json
    actions: tuple[Json, ...]

    @property
    def told(self) -> list[Json]:
        """The rows that viewers were told."""
        return [row for row in self.history if not row["late"]]

    @property
    def life(self) -> tuple[datetime, datetime]:
        """When the first and the last row of its history reached the gateway."""
        received = [datetime.fromisoformat(row["received"]) for row in self.history]
        return min(received), max(received)


async def all_jobs(asking: Asking) -> tuple[list[Json], bool]:
    """Every job that the gateway lists, and whether it is behind the Router."""
    found: list[Json] = []
    query = {"limit": str(_JOBS)}
    while True:
        page = await asking.get(ADMIN, "/v1/jobs", **query)
        found += page["items"]
        if page["next_cursor"] is None:
            return found, page["stale"]
        query["cursor"] = page["next_cursor"]


async def is_settled(asking: Asking, count: int) -> bool:
    """Whether the gateway has heard of so many jobs, and that all of them are over."""
    jobs, stale = await all_jobs(asking)
    return not stale and len(jobs) >= count and all(job["phase"] in FINAL for job in jobs)


async def last_told(asking: Asking) -> int:
    """The number of the last event that any viewer is told."""
    jobs, _ = await all_jobs(asking)
    rows = [row for job in jobs for row in await _history(asking, job["id"]) if not row["late"]]
    return max((row["id"] for row in rows), default=0)


async def read(asking: Asking, router: Router, begun: Sequence[Begun]) -> list[JobRecord]:
    """Everything of every job that either side knows."""
    documents = await router.documents()
    listed = {job["id"] for job in (await all_jobs(asking))[0]}
    at_the_router = dict.fromkeys(document["id"] for document in documents)
    known = {job.id: job for job in begun if job.id is not None}
    records = []
    for job_id in [*at_the_router, *(listed - at_the_router.keys())]:
        job = known.get(job_id)
        record = JobRecord(
            id=job_id,
            created_by=job.created_by if job else None,
            answers=tuple(job.answers) if job else (),
            documents=tuple(document for document in documents if document["id"] == job_id),
            lines=tuple(await router.lines(job_id) if job_id in at_the_router else ()),
            history=tuple(await _history(asking, job_id)),
            shown=await asking.get(ADMIN, f"/v1/jobs/{job_id}"),
            actions=tuple((await asking.get(ADMIN, f"/v1/jobs/{job_id}/actions"))["items"]),
        )
        records.append(record)
    return records


async def _history(asking: Asking, job_id: str) -> list[Json]:
    rows: list[Json] = []
    after: int | None = 0
    while after is not None:
        page = await asking.get(ADMIN, f"/v1/jobs/{job_id}/history", after=str(after), limit=str(_PAGE))
        rows += page["items"]
        after = page["next_after"]
    return rows
