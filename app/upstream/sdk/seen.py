"""How the SDK's objects are read: each becomes one of our words."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from app.domain.codes import JobCode
from app.domain.jobs import Result
from app.domain.phases import OF_MARKET_STATUS
from app.domain.reports import JobReport, Made, Status, StreamAddress
from app.upstream.sdk.surface import Opening

# Streams are opened by the job's id alone.
_STREAM = StreamAddress(url="", token="")
_OF_CODE = {JobCode.IN_PROGRESS: "running", JobCode.COMPLETE: "complete", JobCode.ERROR: "error"}


def report_of(job: Any, *, opening: Opening, team: str, now: datetime) -> JobReport:
    """What a Job of the SDK says, not numbered yet. Raises whatever it is wrong with it.

    The reference knows no times but `created`, which is when it was started; when else it changed is when it was seen.
    """
    word = market_status(job)
    owner = opening.owner(job)
    is_submitted = word != "created"
    created = moment(job.created)
    return JobReport(
        epoch="",
        sequence=0,
        id=UUID(str(job.id)),
        job_name=str(job.job_name),
        operation=opening.operation_name(job.operation),
        dataset=tuple(opening.asset_id(one) for one in _listed(job.dataset)),
        preprocessor=_raw(job.preprocessor or None),
        params=_raw(opening.params(job)),
        labels={},
        owner=owner,
        market_status=word,
        changed=now,
        created=created,
        submitted=created if is_submitted else None,
        started=None,
        finished=None,
        waiting_on=tuple(opening.permission(item) for item in job.waiting_on or ()) if word == "perm" else (),
        queue=(),
        reason=None,
        error="",
        error_code=None,
        result=_made(job, opening) if word == "complete" and owner.team == team else None,
        stream=_STREAM if is_submitted else None,
        stream_to=() if owner.team == team else (team,),
    )


def market_status(job: Any) -> str:
    """The Router's word that a Job keeps, or else what its documented methods come to.

    It is complete once its result is there: a success.
    """
    word = _word(job)
    return "running" if word == "complete" and not job.success else word


def _word(job: Any) -> str:
    word = getattr(job, "_market_status", None)
    if word in OF_MARKET_STATUS:
        return str(word)
    if job.status in _OF_CODE:
        return _OF_CODE[job.status]
    if job.waiting_on_permission():
        return "perm"
    return "queue" if job.waiting_on_queue() else "created"


def status_of(status: Any, *, opening: Opening) -> Status:
    """A JobStatus of the SDK."""
    return Status(
        id=UUID(str(status.id)),
        code=int(status.code),
        status=str(status.status),
        when=moment(status.when),
        communications=int(status.communications),
        error=str(status.error or ""),
        error_code=status.error_code,
        result=_result(status.result, opening),
    )


def message_text(message: object, *, encode: Callable[[object], bytes] = msgspec.json.encode) -> str:
    """A message as JSON in one line; one that JSON cannot hold becomes a message that says so."""
    try:
        return encode(message).decode()
    except (TypeError, ValueError, RecursionError) as error:
        return encode({"__type": "UnreadableMessage", "detail": str(error)}).decode()


def moment(when: datetime) -> datetime:
    """A time with its zone; without one it is in UTC."""
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _made(job: Any, opening: Opening) -> Made:
    result = _result(job.result, opening)
    return Made(asset_id=None if result is None else result.asset_id)


def _result(result: Any, opening: Opening) -> Result | None:
    if result is None:
        return None
    asset = result.asset
    return Result(raw_status=str(result.raw_status), asset_id=None if asset is None else opening.asset_id(asset))


def _listed(dataset: Any) -> list[Any]:
    return list(dataset) if isinstance(dataset, list | tuple) else [] if dataset is None else [dataset]


def _raw(value: object) -> msgspec.Raw:
    """As JSON: a text that is JSON stands for it."""
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except msgspec.DecodeError:
            return msgspec.Raw(msgspec.json.encode(value))
        return msgspec.Raw(value.encode())
    return msgspec.Raw(msgspec.json.encode(value))
