"""What is to be sent to Paheko: entries and members."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _progress() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("remote_id", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )


def upgrade() -> None:
    op.create_table(
        "paheko_entry",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("amount_cents", sa.BigInteger),
        *_progress(),
        sa.UniqueConstraint("reference", name="uq_paheko_entry_reference"),
    )
    op.create_index("ix_paheko_entry_state", "paheko_entry", ["state", "created_at"])
    op.create_table("paheko_member", sa.Column("member_id", sa.Text, primary_key=True), *_progress())
    op.create_index("ix_paheko_member_state", "paheko_member", ["state", "created_at"])


def downgrade() -> None:
    op.drop_table("paheko_member")
    op.drop_table("paheko_entry")
