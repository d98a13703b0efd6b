"""API keys, what lets browsers' streams in, and who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "action",
        sa.Column("id", _ROW_NUMBER, primary_key=True),
        sa.Column("when_us", sa.BigInteger(), nullable=False),
        sa.Column("verb", sa.Integer(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("router_user", sa.String(), nullable=True),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("asset_id", sa.String(), nullable=True),
        sa.Column("client_ref", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
    )
    op.create_index("action_of_job", "action", ["job_id", "id"])
    op.create_index("action_client_ref", "action", ["client_ref"])
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.String(), primary_key=True),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.Column("used_us", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "stream_pass",
        sa.Column("ticket", sa.String(), primary_key=True),
        sa.Column("cookie", sa.String(), nullable=True),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("cookie"),
    )
    op.create_index("stream_pass_key", "stream_pass", ["key_id"])
    op.create_index("stream_pass_expires", "stream_pass", ["expires_us"])


def downgrade() -> None:
    """Drop the three tables."""
    op.drop_table("stream_pass")
    op.drop_table("api_key")
    op.drop_table("action")
