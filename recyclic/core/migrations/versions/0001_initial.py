"""Users, failed sign-ins, the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_user",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.String(200), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.Column("session_key", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "host_sign_in_failure",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name_key", sa.String(200), nullable=False),
        sa.Column("failed_at", sa.Float(53), nullable=False),
    )
    op.create_index("ix_host_sign_in_failure_name_key", "host_sign_in_failure", ["name_key", "failed_at"])
    op.create_table(
        "host_outbox",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("event", sa.String(200), nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("sent_at", sa.Float(53), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_host_outbox_unsent", "host_outbox", ["sent_at", "seq"])
    op.create_table(
        "host_outbox_lease",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("host_outbox_lease")
    op.drop_table("host_outbox")
    op.drop_table("host_sign_in_failure")
    op.drop_table("host_user")
