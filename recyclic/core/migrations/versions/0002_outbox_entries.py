"""The outbox remembers which stream entry an event became."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("host_outbox", sa.Column("entry_id", sa.String(41), nullable=True))
    op.create_index("ix_host_outbox_sent", "host_outbox", ["event", "entry_id"])


def downgrade() -> None:
    op.drop_index("ix_host_outbox_sent", "host_outbox")
    op.drop_column("host_outbox", "entry_id")
