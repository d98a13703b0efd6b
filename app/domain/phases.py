"""Where a job stands, and which way it may go."""

from enum import StrEnum


class Phase(StrEnum):
    """A closed set, derived from the Router's market status and the Access Point's codes."""

    CREATED = "created"
    WAITING_ON_PERMISSION = "waiting_on_permission"
    WAITING_ON_QUEUE = "waiting_on_queue"
    STARTING = "starting"
    IN_PROGRESS = "in_progress"
    STOPPING = "stopping"
    LOST = "lost"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELLED = "cancelled"
    KILLED = "killed"
    DENIED = "denied"

    @property
    def is_final(self) -> bool:
        """A final phase is never left."""
        return self in BUCKETS[Bucket.HISTORY]


class Bucket(StrEnum):
    """The reference's `job_status` filter."""

    WAITING = "waiting"
    ACTIVE = "active"
    HISTORY = "history"


BUCKETS: dict[Bucket, frozenset[Phase]] = {
    Bucket.WAITING: frozenset({Phase.CREATED, Phase.WAITING_ON_PERMISSION, Phase.WAITING_ON_QUEUE}),
    Bucket.ACTIVE: frozenset({Phase.STARTING, Phase.IN_PROGRESS, Phase.STOPPING, Phase.LOST}),
    Bucket.HISTORY: frozenset({Phase.COMPLETE, Phase.ERROR, Phase.CANCELLED, Phase.KILLED, Phase.DENIED}),
}

# What has no public code shows none, never an invented number.
WITHOUT_CODE = frozenset({Phase.STOPPING, Phase.LOST, Phase.CANCELLED, Phase.KILLED, Phase.DENIED})

# The Router's market status → phase. A status that is not here changes nothing.
OF_MARKET_STATUS: dict[str, Phase] = {
    "created": Phase.CREATED,
    "perm": Phase.WAITING_ON_PERMISSION,
    "queue": Phase.WAITING_ON_QUEUE,
    "starting": Phase.STARTING,
    "running": Phase.IN_PROGRESS,
    "stopping": Phase.STOPPING,
    "complete": Phase.COMPLETE,
    "error": Phase.ERROR,
    "cancelled": Phase.CANCELLED,
    "killed": Phase.KILLED,
    "denied": Phase.DENIED,
}

_RANK: dict[Phase, int] = {
    Phase.CREATED: 0,
    Phase.WAITING_ON_PERMISSION: 1,
    Phase.WAITING_ON_QUEUE: 2,
    Phase.STARTING: 3,
    Phase.IN_PROGRESS: 4,
    Phase.STOPPING: 5,
    **dict.fromkeys(BUCKETS[Bucket.HISTORY], 6),
}


def may_move(was: Phase, to: Phase) -> bool:
    """Forward by rank; never out of a final phase; out of `lost` wherever the job is seen again."""
    if was.is_final or was is to:
        return False
    if Phase.LOST in (was, to):
        return True
    return _RANK[to] > _RANK[was]


def is_requeued(was: str, to: str) -> bool:
    """Whether the Router itself took a started job back into the queue: the one move against the rank."""
    return was in ("starting", "running") and to == "queue"
