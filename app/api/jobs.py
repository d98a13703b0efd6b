"""Jobs: create, submit, cancel, kill, find."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response

from app.api.access import ASKED, ActorDep, CallerDep
from app.api.fresh import UNCHANGED, answer
from app.api.leaving import leaving
from app.api.once import IdempotencyKey, told
from app.api.paging import page_body
from app.api.rooms import RoomsDep
from app.api.schemas.common import Reason
from app.api.schemas.jobs import (
    Cancelled,
    FindQuery,
    JobPage,
    JobSeen,
    JobsQuery,
    JobToCreate,
    JobView,
    Killed,
    job_refreshed,
    job_seen,
    job_view,
)
from app.domain.attempts import asked_for
from app.domain.phases import Phase

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=ASKED)

Submit = Annotated[bool, Query(description="Submit it too; if only that fails, the problem carries job_id")]
Refresh = Annotated[bool, Query(description="Look at the Router first, at most once a second for each job")]
WaitForPermission = Annotated[
    bool, Query(description="False: answer at once when permission is missing, instead of waiting for the owners")
]
Why = Annotated[Reason | None, Body()]


@router.post("", operation_id="createJob", status_code=201)
async def create(
    *,
    new: JobToCreate,
    rooms: RoomsDep,
    by: ActorDep,
    response: Response,
    submit: Submit = False,
    key: IdempotencyKey = None,
) -> JobView:
    """Create a job."""
    wanted = new.value()
    asked = asked_for(key, by=by, route="create", body=[wanted, submit])
    create = rooms.jobs.create_and_submit if submit else rooms.jobs.create
    done = await rooms.once.do(asked, lambda attempt: create(wanted, by=by, attempt=attempt))
    job = told(done, response)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job_view(job)


@router.get("", operation_id="findAllJobs", response_model=JobPage, responses=UNCHANGED)
async def find_all(wanted: Annotated[JobsQuery, Query()], request: Request, rooms: RoomsDep) -> Response:
    """The jobs that fit, newest first."""
    page = await rooms.jobs.page(wanted.value(), limit=wanted.limit, cursor=wanted.cursor)
    return answer(request, page_body(page, rooms.contact, partial=page.partial), digest=page.digest)


@router.get("/find", operation_id="findJob", response_model=JobSeen, responses=UNCHANGED)
async def find(wanted: Annotated[FindQuery, Query()], request: Request, rooms: RoomsDep) -> Response:
    """The one job that fits; 404 for none, 409 with the ids for several."""
    seen = job_seen(await rooms.jobs.find(wanted.value()), rooms.contact)
    return answer(request, seen.body, digest=seen.digest)


@router.get("/{job_id}", operation_id="getJob", response_model=JobSeen, responses=UNCHANGED)
async def get(job_id: UUID, request: Request, rooms: RoomsDep, refresh: Refresh = False) -> Response:
    """A job."""
    if refresh:
        seen = job_refreshed(await rooms.refresher.job(job_id), rooms.contact)
    else:
        seen = job_seen(await rooms.jobs.job(job_id), rooms.contact)
    return answer(request, seen.body, digest=seen.digest, again=not refresh)


@router.get(
    "/{job_id}/wait",
    operation_id="waitForJob",
    response_model=JobSeen,
    responses={202: {"model": JobSeen, "description": "Not yet: it is as it was when the time was over"}},
)
async def wait(
    *,
    job_id: UUID,
    rooms: RoomsDep,
    request: Request,
    caller: CallerDep,
    timeout: Annotated[float, Query(ge=0, le=300, description="Seconds")] = 30,  # noqa: ASYNC109  (the caller's word)
    wait_for_permission: WaitForPermission = True,
) -> Response:
    """Wait for a job to complete, optionally waiting for permissions."""
    with rooms.gatekeeper.visiting(caller, cookie=None) as visit:
        async with leaving(request, visit.end):
            job, is_settled = await rooms.jobs.wait(
                job_id, within_s=timeout, wait_for_permission=wait_for_permission, visit=visit
            )
    status = 200 if is_settled else 202
    return Response(job_seen(job, rooms.contact).body, status_code=status, media_type="application/json")


@router.post("/{job_id}/submit", operation_id="submitJob", status_code=202)
async def submit(
    job_id: UUID, rooms: RoomsDep, by: ActorDep, response: Response, key: IdempotencyKey = None
) -> JobView:
    """Begin execution of a job."""
    asked = asked_for(key, by=by, route=f"submit {job_id}", body=None)
    done = await rooms.once.do(asked, lambda attempt: rooms.jobs.submit(job_id, by=by, attempt=attempt))
    return job_view(told(done, response))


@router.post("/{job_id}/cancel", operation_id="cancelJob")
async def cancel(
    *, job_id: UUID, rooms: RoomsDep, by: ActorDep, response: Response, why: Why = None, key: IdempotencyKey = None
) -> Cancelled:
    """Cancel a pending (waiting on permissions or queued) job; one that has begun calculation is for kill."""
    reason = why.reason if why else None
    asked = asked_for(key, by=by, route=f"cancel {job_id}", body=reason)
    done = await rooms.once.do(asked, lambda attempt: rooms.jobs.cancel(job_id, by=by, reason=reason, attempt=attempt))
    return Cancelled(cancelled=True, job=job_view(told(done, response)))


@router.post(
    "/{job_id}/kill",
    operation_id="killJob",
    responses={202: {"model": Killed, "description": "Passed on; the stream tells when it is confirmed"}},
)
async def kill(
    *, job_id: UUID, rooms: RoomsDep, by: ActorDep, response: Response, why: Why = None, key: IdempotencyKey = None
) -> Killed:
    """Immediately terminate a job, whether it waits or calculates."""
    reason = why.reason if why else None
    asked = asked_for(key, by=by, route=f"kill {job_id}", body=reason)
    done = await rooms.once.do(
        asked,
        lambda _: rooms.jobs.kill(job_id, by=by, reason=reason),
        whatever_is_remembered=True,
    )
    job = told(done, response)
    killed = job.phase is Phase.KILLED
    response.status_code = 200 if killed else 202
    return Killed(killed=killed, job=job_view(job))
