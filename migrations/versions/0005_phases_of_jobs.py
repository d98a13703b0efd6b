"""An index of the phases, for the streams that are narrowed by them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.create_index("event_phase", "event", ["job_key", "id"], sqlite_where=sa.text("kind = 3"))


def downgrade() -> None:
    """Drop it."""
    op.drop_index("event_phase", "event")
