"""The labels of jobs, so that jobs are found by them; and an index of statuses, which are few amongst many messages."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_AT_ONCE = 500


class _Labelled(msgspec.Struct):
    labels: dict[str, str]


def upgrade() -> None:
    """Make the table, fill it from the jobs that are there, and make the indexes."""
    op.create_index("event_status", "event", ["job_key", "id"], sqlite_where=sa.text("kind = 1"))
    table = op.create_table(
        "job_label",
        sa.Column("job_key", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )
    op.create_index("job_label_value", "job_label", ["name", "value", "job_key"])
    # Not by the database's own JSON functions: they end a text at a NUL, and two labels might become one.
    for jobs in op.get_bind().execute(sa.text("SELECT key, state FROM job")).partitions(_AT_ONCE):
        if rows := [row for key, state in jobs for row in _labels(key, state)]:
            op.bulk_insert(table, rows)


def downgrade() -> None:
    """Drop the table and the index."""
    op.drop_table("job_label")
    op.drop_index("event_status", "event")


def _labels(key: int, state: str) -> list[dict[str, object]]:
    job = msgspec.json.decode(state, type=_Labelled)
    return [{"job_key": key, "name": name, "value": value} for name, value in job.labels.items()]
