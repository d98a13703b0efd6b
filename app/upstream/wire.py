"""How the Router and the Access Points spell what they say, where that differs from our words."""

import msgspec

from app.domain.jobs import Mark, Moment, NewJob
from app.domain.messages import one_line
from app.domain.network import AccessRequest, Asset, Operation
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


class JobAnswer(msgspec.Struct):
    """A job inside an answer."""

    job: JobReport


class ChangeLine(msgspec.Struct):
    """A line of the changes feed."""

    epoch: str
    sequence: int
    job: JobReport | None = None

    def value(self) -> Change:
        """As we say it."""
        return Change(mark=Mark(epoch=self.epoch, sequence=self.sequence), report=self.job)


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
    return {"client_ref": client_ref, **msgspec.structs.asdict(new)}
