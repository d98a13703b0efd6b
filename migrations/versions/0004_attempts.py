"""Requests with an Idempotency-Key; and what Access Points answered to a cancel or kill that was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and the column."""
    op.create_table(
        "attempt",
        sa.Column("number", _ROW_NUMBER, primary_key=True),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("begun_us", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.UniqueConstraint("caller", "route", "key", name="attempt_once"),
    )
    op.create_index("attempt_begun", "attempt", ["begun_us"])
    op.add_column("action", sa.Column("answers", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop both."""
    op.drop_column("action", "answers")
    op.drop_table("attempt")
