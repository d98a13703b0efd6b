"""How the Router and the Access Points spell what they say, where that differs from our words."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from app.domain.jobs import Mark, Moment, NewJob
from app.domain.messages import one_line
from app.domain.network import AccessRequest, Agreement, Asset, NewAgreement, Operation
from app.domain.reports import Change, EndLine, JobReport, MessageLine, Status, StatusLine, StreamLine


class Items(msgspec.Struct):
    """A list of jobs."""

    items: list[JobReport]


class Operations(msgspec.Struct):
    """A list of operations."""

    items: list[Operation]


class Assets(msgspec.Struct):
    """A list of assets."""

    items: list[Asset]


class AccessRequests(msgspec.Struct):
    """A list of access requests."""

    items: list[AccessRequest]


class Agreements(msgspec.Struct):
    """A list of agreements."""

    items: list[Agreement]


class JobAnswer(msgspec.Struct):
    """A job inside an answer."""

    job: JobReport


class ChangeLine(msgspec.Struct):
    """A line of the changes feed."""

    epoch: str
    sequence: int
    job: JobReport | None = None
    head: int | None = None

    def value(self) -> Change:
        """As we say it."""
        return Change(mark=Mark(epoch=self.epoch, sequence=self.sequence), report=self.job, head=self.head)


class _Line(msgspec.Struct, tag_field="kind"):
    epoch: str
    sequence: int
    when: Moment

    @property
    def mark(self) -> Mark:
        return Mark(epoch=self.epoch, sequence=self.sequence)


class _StatusLine(_Line, tag="status"):
    status: Status


class _MessageLine(_Line, tag="message"):
    message: msgspec.Raw


class _EndLine(_Line, tag="end"):
    outcome: str


_LINES = msgspec.json.Decoder(_StatusLine | _MessageLine | _EndLine)


def stream_line(raw: bytes) -> StreamLine:
    """A line of a status stream. Raises msgspec.DecodeError or UnicodeDecodeError."""
    line = _LINES.decode(raw)
    match line:
        case _StatusLine():
            return StatusLine(mark=line.mark, when=line.when, status=line.status)
        case _MessageLine():
            return MessageLine(mark=line.mark, when=line.when, text=one_line(line.message))
    return EndLine(mark=line.mark, when=line.when)


def create_body(new: NewJob, *, client_ref: str) -> dict[str, object]:
    """The body of a create."""
    return {"client_ref": client_ref, **preflight_body(new)}


def preflight_body(new: NewJob) -> dict[str, object]:
    """The same, for a job that is not made."""
    return msgspec.structs.asdict(new)


def act_body(reason: str | None, *, client_ref: str) -> dict[str, object]:
    """The body of what changes a job."""
    return said({"reason": reason, "client_ref": client_ref})


def table_body(name: str | None, *, temporary: bool) -> dict[str, object]:
    """The body of an announcement."""
    return said({"name": name, "kind": "table", "temporary": temporary})


def agreement_body(new: NewAgreement) -> dict[str, object]:
    """The body of an agreement."""
    expiration = None if new.expiration is None else moment(new.expiration)
    return said({**msgspec.structs.asdict(new), "expiration": expiration})


def moment(when: datetime) -> str:
    """A time in UTC, with microseconds and a Z."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def said(fields: Mapping[str, object]) -> dict[str, object]:
    """Only what there is to say."""
    return {name: value for name, value in fields.items() if value is not None}
