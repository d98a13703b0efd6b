"""Jobs, the event log, and how far each source has been heard."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "job",
        sa.Column("key", _ROW_NUMBER, primary_key=True),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("job_name", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.UniqueConstraint("job_id"),
    )
    op.create_index("job_newest", "job", ["created_us", "key"])
    op.create_index("job_phase_newest", "job", ["phase", "created_us", "key"])
    op.create_index("job_name_newest", "job", ["job_name", "created_us", "key"])
    op.create_table(
        "event",
        sa.Column("id", _ROW_NUMBER, primary_key=True),
        sa.Column("job_key", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("source", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("when_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.UniqueConstraint("job_key", "source", "epoch", "sequence", name="event_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("event_of_job", "event", ["job_key", "id"])
    op.create_table(
        "position",
        sa.Column("source", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop the three tables."""
    op.drop_table("position")
    op.drop_table("event")
    op.drop_table("job")
