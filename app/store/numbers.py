"""The numbers that stand for phases, kinds, sources, verbs and roles, and those that stand for moments.

They are written down for good: a number is never given another meaning.
"""

from datetime import UTC, datetime, timedelta

from app.domain.access import Role
from app.domain.actions import Verb
from app.domain.events import Kind, Source
from app.domain.phases import Phase
from app.domain.statistics import Counted

PHASES: dict[Phase, int] = {
    Phase.CREATED: 1,
    Phase.WAITING_ON_PERMISSION: 2,
    Phase.WAITING_ON_QUEUE: 3,
    Phase.STARTING: 4,
    Phase.IN_PROGRESS: 5,
    Phase.STOPPING: 6,
    Phase.LOST: 7,
    Phase.COMPLETE: 8,
    Phase.ERROR: 9,
    Phase.CANCELLED: 10,
    Phase.KILLED: 11,
    Phase.DENIED: 12,
}
KINDS: dict[Kind, int] = {Kind.STATUS: 1, Kind.MESSAGE: 2, Kind.PHASE: 3, Kind.UPSTREAM: 4, Kind.END: 5}
SOURCES: dict[Source, int] = {Source.ROUTER: 1, Source.ACCESS_POINT: 2, Source.GATEWAY: 3}
VERBS: dict[Verb, int] = {
    Verb.CREATE: 1,
    Verb.SUBMIT: 2,
    Verb.CANCEL: 3,
    Verb.KILL: 4,
    Verb.ACCEPT: 5,
    Verb.DENY: 6,
    Verb.UPLOAD: 7,
    Verb.AGREE: 8,
    Verb.END_AGREEMENT: 9,
}
ROLES: dict[Role, int] = {Role.VIEWER: 1, Role.SUBMITTER: 2, Role.APPROVER: 3, Role.ADMIN: 4}
COUNTED: dict[Counted, int] = {Counted.ALL: 1, Counted.OPERATION: 2, Counted.OWNER: 3, Counted.DAY: 4}
PHASE_OF = {number: phase for phase, number in PHASES.items()}
KIND_OF = {number: kind for kind, number in KINDS.items()}
SOURCE_OF = {number: source for source, number in SOURCES.items()}

VERB_OF = {number: verb for verb, number in VERBS.items()}
ROLE_OF = {number: role for role, number in ROLES.items()}

_KEY_BITS = 10
KEYS_EACH = 1 << _KEY_BITS
_LAST_US = 2**52
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    since = when - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_us(us: int) -> datetime:
    """The same moment, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def least_key(created_us: int) -> int:
    """The least number of the row of a job that was created at this moment; 1024 such jobs stand before any later one.

    Moments that no clock shows, some two hundred years before or after 1970, count as the last of those.
    """
    return max(-_LAST_US, min(created_us, _LAST_US)) << _KEY_BITS
