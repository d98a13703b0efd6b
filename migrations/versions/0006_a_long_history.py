"""A history of a million jobs: rows in the order of lists, states apart from them, words, rollups, and what was removed."""

from collections.abc import Iterator, Sequence
from math import log2
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_AT_ONCE = 500
_FIRST_FINAL, _PHASE_EVENT = 8, 3
_JOB_INDEXES = {
    "job_named": ["job_name"],
    "job_named_in_phase": ["job_name", "phase"],
    "job_owned": ["owner", "key", "job_name"],
    "job_operated": ["operation"],
    "job_in_phase": ["phase"],
    "job_owned_in_phase": ["owner", "phase"],
    "job_operated_in_phase": ["operation", "phase"],
    "job_owned_operated": ["owner", "operation"],
}
_NUMBERS = {
    "created": 1,
    "waiting_on_permission": 2,
    "waiting_on_queue": 3,
    "starting": 4,
    "in_progress": 5,
    "stopping": 6,
    "lost": 7,
    "complete": 8,
    "error": 9,
    "cancelled": 10,
    "killed": 11,
    "denied": 12,
}


class _Job(msgspec.Struct):
    params: msgspec.Raw
    error: str = ""


class _PhaseTold(msgspec.Struct):
    phase: str
    previous: str | None


def upgrade() -> None:
    """Number the jobs by the moment of their creation, and fill the new tables from what is there."""
    connection = op.get_bind()
    _make_tables()
    for jobs in _in_order(connection):
        _move(connection, jobs)
    connection.execute(sa.text("DELETE FROM event WHERE job_key NOT IN (SELECT was FROM moved)"))
    connection.execute(sa.text("UPDATE event SET job_key = (SELECT key FROM moved WHERE was = job_key)"))
    op.drop_table("moved")
    op.drop_table("job")
    op.drop_table("job_label")
    op.rename_table("new_job", "job")
    op.rename_table("new_job_label", "job_label")
    op.create_index("job_label_of", "job_label", ["job_key", "name"])
    op.create_index("job_label_named", "job_label", ["name", "job_key"])
    op.create_index("job_label_owned", "job_label", ["name", "value", "owner", "job_key"])
    op.create_index("job_label_operated", "job_label", ["name", "value", "operation", "job_key"])
    for name, columns in _JOB_INDEXES.items():
        op.create_index(name, "job", columns)
    op.create_index("job_over", "job", ["over_us"], sqlite_where=sa.text("over_us IS NOT NULL"))
    op.create_index("job_not_complete", "job", ["key"], sqlite_where=sa.text(f"phase <> {_NUMBERS['complete']}"))
    _count(connection)
    _time(connection)


def downgrade() -> None:
    """Back to one row for all of a job."""
    op.execute("DELETE FROM event WHERE job_key NOT IN (SELECT key FROM job)")
    for name in (*_JOB_INDEXES, "job_over", "job_not_complete"):
        op.drop_index(name, "job")
    op.create_table(
        "old_job_label",
        sa.Column("job_key", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )
    op.execute("INSERT INTO old_job_label SELECT job_key, name, value FROM job_label")
    op.drop_table("job_label")
    op.rename_table("old_job_label", "job_label")
    op.create_index("job_label_value", "job_label", ["name", "value", "job_key"])
    op.create_table(
        "old_job",
        sa.Column("key", sa.Integer(), primary_key=True),
        sa.Column("job_id", sa.String(), nullable=False, unique=True),
        sa.Column("job_name", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
    )
    op.execute(
        "INSERT INTO old_job SELECT job.key, job_id, job_name, operation, owner, phase, created_us, "
        "CASE unseen WHEN '{}' THEN shown ELSE substr(shown, 1, length(shown) - 1) || ',' || substr(unseen, 2) END "
        "FROM job JOIN job_state USING (key)"
    )
    for name in ("job", "job_state", "job_words", "job_trigrams", "job_count", "stay", "pruned", "log_gap"):
        op.drop_table(name)
    op.rename_table("old_job", "job")
    op.create_index("job_newest", "job", ["created_us", "key"])
    op.create_index("job_phase_newest", "job", ["phase", "created_us", "key"])
    op.create_index("job_name_newest", "job", ["job_name", "created_us", "key"])


def _make_tables() -> None:
    op.create_table("moved", sa.Column("was", sa.Integer(), primary_key=True), sa.Column("key", sa.Integer()))
    op.create_table(
        "new_job",
        sa.Column("key", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.String(), nullable=False, unique=True),
        sa.Column("job_name", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("over_us", sa.BigInteger()),
    )
    op.create_table(
        "job_state",
        sa.Column("key", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("unseen", sa.Text(), nullable=False),
        sa.Column("shape", sa.Integer(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "new_job_label",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), primary_key=True),
        sa.Column("job_key", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_count",
        sa.Column("kind", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.String(), primary_key=True),
        sa.Column("phase", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stay",
        sa.Column("phase", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("bucket", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("stays", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pruned",
        sa.Column("job_id", sa.String(), primary_key=True),
        sa.Column("pruned_us", sa.BigInteger(), nullable=False),
        sa.Column("job_key", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
    op.create_index("pruned_left", "pruned", ["job_key"], sqlite_where=sa.text("job_key IS NOT NULL"))
    op.create_table(
        "log_gap",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("through", sa.BigInteger(), nullable=False),
    )
    op.execute(
        "CREATE VIRTUAL TABLE job_words USING fts5(job_name, operation, params, error, "
        "content='', columnsize=0, tokenize='unicode61')"
    )
    op.execute(
        "CREATE VIRTUAL TABLE job_trigrams USING fts5(job_name, content='', columnsize=0, detail='none', "
        "tokenize='trigram')"
    )


def _in_order(connection: sa.Connection) -> Iterator[list[tuple[int, sa.Row[Any]]]]:
    """Every job, oldest first, some at a time, with the number that it gets: none that a job had before."""
    last = connection.execute(sa.text("SELECT coalesce(max(key), 0) FROM job")).scalar_one()
    place = (-(2**63), 0)
    query = sa.text(
        "SELECT * FROM job WHERE (created_us, key) > (:created_us, :key) ORDER BY created_us, key LIMIT :limit"
    )
    while rows := connection.execute(query, {"created_us": place[0], "key": place[1], "limit": _AT_ONCE}).all():
        place = (rows[-1].created_us, rows[-1].key)
        numbered = []
        for row in rows:
            last = max(last + 1, max(-(2**52), min(row.created_us, 2**52)) << 10)
            numbered.append((last, row))
        yield numbered


def _move(connection: sa.Connection, jobs: list[tuple[int, sa.Row[Any]]]) -> None:
    states = [(key, row, msgspec.json.decode(row.state, type=_Job)) for key, row in jobs]
    _each(connection, "INSERT INTO moved VALUES (?, ?)", [(row.key, key) for key, row in jobs])
    _each(
        connection,
        "INSERT INTO new_job VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
        "CASE WHEN ? THEN coalesce((SELECT max(received_us) FROM event WHERE job_key = ?), ?) END)",
        [
            (
                key,
                row.job_id,
                row.job_name,
                row.operation,
                row.owner,
                row.phase,
                row.created_us,
                row.created_us,
                row.phase >= _FIRST_FINAL,
                row.key,
                row.created_us,
            )
            for key, row in jobs
        ],
    )
    # As nothing shows it any more: who reads it shows it anew.
    _each(connection, "INSERT INTO job_state VALUES (?, ?, '{}', 0, 0)", [(key, row.state) for key, row in jobs])
    _each(
        connection,
        "INSERT INTO new_job_label SELECT name, value, ?, ?, ? FROM job_label WHERE job_key = ?",
        [(key, row.operation, row.owner, row.key) for key, row in jobs],
    )
    _each(
        connection,
        "INSERT INTO job_words (rowid, job_name, operation, params, error) VALUES (?, ?, ?, ?, ?)",
        [
            (key, *map(_unbroken, (row.job_name, row.operation, bytes(job.params).decode(), job.error)))
            for key, row, job in states
        ],
    )
    _each(
        connection,
        "INSERT INTO job_trigrams (rowid, job_name) VALUES (?, ?)",
        [(key, _unbroken(row.job_name)) for key, row in jobs],
    )


def _count(connection: sa.Connection) -> None:
    for kind, value in ((1, "''"), (2, "operation"), (3, "owner"), (4, "date(created_us / 1000000, 'unixepoch')")):
        connection.execute(
            sa.text(f"INSERT INTO job_count SELECT {kind}, {value}, phase, count(*) FROM job GROUP BY 2, 3")  # noqa: S608
        )


def _time(connection: sa.Connection) -> None:
    """Since when each job is where it is, and how long it was where it was before."""
    stays: dict[tuple[int, int], int] = {}
    job_key, since = None, (0, 0)
    began: list[tuple[int, int]] = []
    events = connection.execute(
        sa.text("SELECT job_key, when_us, data FROM event WHERE kind = :kind AND NOT late ORDER BY job_key, id"),
        {"kind": _PHASE_EVENT},
    )
    for row in events:
        told = msgspec.json.decode(row.data, type=_PhaseTold)
        if told.previous == told.phase:
            continue
        if row.job_key == job_key:
            place = since[0], _bucket(row.when_us - since[1])
            stays[place] = stays.get(place, 0) + 1
        elif job_key is not None:
            began.append((since[1], job_key))
        job_key, since = row.job_key, (_NUMBERS[told.phase], row.when_us)
    if job_key is not None:
        began.append((since[1], job_key))
    _each(connection, "UPDATE job SET since_us = ? WHERE key = ?", began)
    _each(connection, "INSERT INTO stay VALUES (?, ?, ?)", [(*place, number) for place, number in stays.items()])


def _bucket(us: int) -> int:
    return 0 if us < 1_000 else 1 + int(log2(us / 1_000) * 16)


def _each(connection: sa.Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(sql, list(rows))


def _unbroken(text: str) -> str:
    return text.replace("\0", " ")
