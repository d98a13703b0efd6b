"""The tables. Lean types: whole numbers, and JSON that is text already. Times are microseconds since 1970 in UTC."""

from sqlalchemy import BigInteger, Column, Index, Integer, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

# SQLite numbers rows by itself only where the column is spelled INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


class JobRow(SQLModel, table=True):
    """What jobs are found and counted by: a narrow row, so that many are looked at quickly.

    `key` is made of the moment of creation (see `least_key`), or the next number that was free: the order of lists is that
    of the rows themselves, and of every index. `since_us` is when the phase began, `over_us` when a final one was reached.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("job_named", "job_name"),
        Index("job_named_in_phase", "job_name", "phase"),
        # With the names, in which a pattern is looked for.
        Index("job_owned", "owner", "key", "job_name"),
        Index("job_operated", "operation"),
        Index("job_in_phase", "phase"),
        Index("job_owned_in_phase", "owner", "phase"),
        Index("job_operated_in_phase", "operation", "phase"),
        Index("job_owned_operated", "owner", "operation"),
        Index("job_over", "over_us", sqlite_where=text("over_us IS NOT NULL")),
        # Most are: whether one is shows sooner by the few that are not.
        Index("job_not_complete", "key", sqlite_where=text("phase <> 8")),
    )

    key: int = Field(sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=False))
    job_id: str = Field(unique=True)
    job_name: str
    operation: str
    owner: str
    phase: int
    created_us: int = Field(sa_type=BigInteger)
    since_us: int = Field(sa_type=BigInteger)
    over_us: int | None = Field(sa_type=BigInteger)


class StateRow(SQLModel, table=True):
    """The whole of a job as JSON: what a list shows of it, ready to be sent, and the rest.

    `shape` is the number of the way in which it is shown; `digest` changes with what is shown.
    """

    __tablename__ = "job_state"

    key: int = Field(sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=False))
    shown: str = Field(sa_type=Text)
    unseen: str = Field(sa_type=Text)
    shape: int
    digest: int = Field(sa_type=BigInteger)


class EventRow(SQLModel, table=True):
    """A line of the log. `epoch` and `sequence` are set where the row is a line that an Access Point numbered."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("job_key", "source", "epoch", "sequence", name="event_once"),
        Index("event_of_job", "job_key", "id"),
        # Statuses and phases are few amongst many messages.
        Index("event_status", "job_key", "id", sqlite_where=text("kind = 1")),
        Index("event_phase", "job_key", "id", sqlite_where=text("kind = 3")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    job_key: int = Field(sa_type=BigInteger)
    kind: int
    source: int
    epoch: str | None
    sequence: int | None = Field(sa_type=BigInteger)
    when_us: int = Field(sa_type=BigInteger)
    received_us: int = Field(sa_type=BigInteger)
    late: bool
    data: str = Field(sa_type=Text)


class LabelRow(SQLModel, table=True):
    """A label of a job, in the order of lists for each name and value; written with the job's row, and never changed.

    Operation and owner stand here, too, so that those of a label and an owner are in the order of lists.
    """

    __tablename__ = "job_label"
    __table_args__ = (
        Index("job_label_of", "job_key", "name"),
        Index("job_label_named", "name", "job_key"),
        Index("job_label_owned", "name", "value", "owner", "job_key"),
        Index("job_label_operated", "name", "value", "operation", "job_key"),
        {"sqlite_with_rowid": False},
    )

    name: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    job_key: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    operation: str
    owner: str


class PositionRow(SQLModel, table=True):
    """How far a numbered source has been heard."""

    __tablename__ = "position"

    source: int = Field(primary_key=True)
    epoch: str
    sequence: int = Field(sa_type=BigInteger)


class CountRow(SQLModel, table=True):
    """How many jobs of a kind are in a phase. `kind` is one of `COUNTED`; the value of the kind `all` is empty."""

    __tablename__ = "job_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    kind: int = Field(primary_key=True)
    value: str = Field(primary_key=True)
    phase: int = Field(primary_key=True)
    jobs: int


class StayRow(SQLModel, table=True):
    """How many stays in a phase were about as long: see `stays.bucket`."""

    __tablename__ = "stay"
    __table_args__ = ({"sqlite_with_rowid": False},)

    phase: int = Field(primary_key=True)
    bucket: int = Field(primary_key=True)
    stays: int


class PrunedRow(SQLModel, table=True):
    """A job that was removed, so that nothing brings it back. `job_key` is set while events of it are left."""

    __tablename__ = "pruned"
    __table_args__ = (
        Index("pruned_left", "job_key", sqlite_where=text("job_key IS NOT NULL")),
        {"sqlite_with_rowid": False},
    )

    job_id: str = Field(primary_key=True)
    pruned_us: int = Field(sa_type=BigInteger)
    job_key: int | None = Field(sa_type=BigInteger)


class GapRow(SQLModel, table=True):
    """One row: up to this number events are missing."""

    __tablename__ = "log_gap"

    id: int = Field(primary_key=True)
    through: int = Field(sa_type=BigInteger)


class ActionRow(SQLModel, table=True):
    """Who did what."""

    __tablename__ = "action"
    __table_args__ = (Index("action_of_job", "job_id", "id"), Index("action_client_ref", "client_ref"))

    id: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    when_us: int = Field(sa_type=BigInteger)
    verb: int
    user: str
    key_id: str | None
    router_user: str | None
    job_id: str | None
    asset_id: str | None
    client_ref: str | None
    reason: str | None
    outcome: str | None
    answers: str | None = Field(default=None, sa_type=Text)


class AttemptRow(SQLModel, table=True):
    """A request with an Idempotency-Key. `answer` is null until it has one."""

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("caller", "route", "key", name="attempt_once"),
        Index("attempt_begun", "begun_us"),
    )

    number: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    caller: str
    route: str
    key: str
    digest: str
    begun_us: int = Field(sa_type=BigInteger)
    job_id: str | None
    answer: str | None = Field(sa_type=Text)


class KeyRow(SQLModel, table=True):
    """An API key; of its secret only the fingerprint."""

    __tablename__ = "api_key"

    key_id: str = Field(primary_key=True)
    user: str
    role: int
    fingerprint: str
    created_us: int = Field(sa_type=BigInteger)
    expires_us: int | None = Field(sa_type=BigInteger)
    revoked_us: int | None = Field(sa_type=BigInteger)
    used_us: int | None = Field(sa_type=BigInteger)


class PassRow(SQLModel, table=True):
    """What lets a browser's stream in. `cookie` is empty until the ticket was used; both are fingerprints."""

    __tablename__ = "stream_pass"
    __table_args__ = (Index("stream_pass_key", "key_id"), Index("stream_pass_expires", "expires_us"))

    ticket: str = Field(primary_key=True)
    cookie: str | None = Field(unique=True)
    key_id: str | None
    path: str
    expires_us: int = Field(sa_type=BigInteger)


JOBS = SQLModel.metadata.tables["job"]
EVENTS = SQLModel.metadata.tables["event"]
STATES = SQLModel.metadata.tables["job_state"]
COUNTS = SQLModel.metadata.tables["job_count"]
STAYS = SQLModel.metadata.tables["stay"]
PRUNED = SQLModel.metadata.tables["pruned"]
GAP = SQLModel.metadata.tables["log_gap"]
LABELS = SQLModel.metadata.tables["job_label"]
POSITIONS = SQLModel.metadata.tables["position"]
ACTIONS = SQLModel.metadata.tables["action"]
ATTEMPTS = SQLModel.metadata.tables["attempt"]
KEYS = SQLModel.metadata.tables["api_key"]
PASSES = SQLModel.metadata.tables["stream_pass"]
