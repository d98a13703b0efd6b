"""The mail rooms: one for each job that runs here, with a box for each sender and topic. In memory; gone with the job."""

import hmac
from dataclasses import dataclass, field

from network import passes, refusals
from network.bell import Bell
from network.refusals import Refusal

MAX_MAIL_BYTES = 64 << 20
MAX_ROOM_BYTES = 256 << 20
_COUNTS_KEPT = 1_000  # of jobs that have ended here
_FULL = "The mailbox is full; send again later."


@dataclass(frozen=True, slots=True)
class Mark:
    """Which mail: sequence counts what a sender sent under a topic, from 0."""

    sender: str
    topic: str
    sequence: int


@dataclass(slots=True, kw_only=True)
class Room:
    """The mail of one job; only fingerprints of the tokens that open it are kept."""

    senders: dict[str, str]
    worker_sha256: str
    sent_by: dict[str, int] = field(default_factory=dict)
    bell: Bell = field(default_factory=Bell)
    _mails: dict[Mark, bytes] = field(default_factory=dict)
    _taken: dict[tuple[str, str], int] = field(default_factory=dict)
    _bytes: int = 0

    def put(self, mark: Mark, content: bytes) -> None:
        """Keep a mail until it is taken; a mail that came before changes nothing."""
        if mark in self._mails or mark.sequence < self._taken.get((mark.sender, mark.topic), 0):
            return
        if self._bytes + len(content) > MAX_ROOM_BYTES:
            raise Refusal(429, "mailbox-full", _FULL)
        self._mails[mark] = content
        self._bytes += len(content)
        self.bell.ring()

    def look(self, mark: Mark) -> bytes | None:
        """The mail, which stays; None when it has not come."""
        return self._mails.get(mark)

    def done(self, mark: Mark) -> None:
        """The mail was read; it never comes again."""
        self._bytes -= len(self._mails.pop(mark, b""))
        self._taken[mark.sender, mark.topic] = mark.sequence + 1

    def count(self, team: str, total: int) -> None:
        """What a party says it has sent so far, to all."""
        self.sent_by[team] = max(total, self.sent_by.get(team, 0))

    @property
    def communications(self) -> int:
        """What all parties say they have sent."""
        return sum(self.sent_by.values())


class MailRooms:
    """The rooms that are open now."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._counted: dict[str, int] = {}

    def open(self, job_id: str, *, senders: dict[str, str], worker_token: str) -> Room:
        """A room for a job that starts."""
        room = Room(senders=senders, worker_sha256=passes.fingerprint(worker_token))
        self._rooms[job_id] = room
        return room

    def sent_by(self, team: str, *, job_id: str) -> int:
        """The mails that the party has sent to all, as far as is known here."""
        room = self._rooms.get(job_id)
        return 0 if room is None else room.sent_by.get(team, 0)

    def communications(self, job_id: str) -> int:
        """The mails of a job that runs here, or did a while ago, as far as is known here."""
        room = self._rooms.get(job_id)
        return self._counted.get(job_id, 0) if room is None else room.communications

    def close(self, job_id: str) -> None:
        """The job's part here is over."""
        if room := self._rooms.pop(job_id, None):
            room.bell.close()
            # The job's end is told later, when the other parties have reported.
            self._counted[job_id] = room.communications
            if len(self._counted) > _COUNTS_KEPT:
                del self._counted[next(iter(self._counted))]

    def of_sender(self, job_id: str, sender: str, *, token: str) -> Room:
        """The room, for a peer that proves who it is. Not found also means: not started here yet."""
        room = self._room(job_id)
        _admit(room.senders.get(sender, ""), token)
        return room

    def of_worker(self, job_id: str, *, token: str) -> Room:
        """The room, for the job's own process."""
        room = self._room(job_id)
        _admit(room.worker_sha256, token)
        return room

    def _room(self, job_id: str) -> Room:
        room = self._rooms.get(job_id)
        if room is None:
            raise refusals.not_found("mail room")
        return room


def _admit(expected: str, token: str) -> None:
    if not hmac.compare_digest(expected, passes.fingerprint(token)):
        raise refusals.unauthorized()
