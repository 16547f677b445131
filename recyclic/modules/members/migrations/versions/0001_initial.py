"""The members and the counter of their numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "members_member",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("first_name", sa.String(100), nullable=False),
        sa.Column("last_name", sa.String(100), nullable=False),
        sa.Column("email", sa.String(254)),
        sa.Column("phone", sa.String(30)),
        sa.Column("address", sa.String(300)),
        sa.Column("postal_code", sa.String(12)),
        sa.Column("city", sa.String(100)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name_key", sa.String(300), nullable=False),
        sa.Column("email_key", sa.String(300)),
        sa.Column("sort_key", sa.String(300), nullable=False),
        sa.Column("search_key", sa.Text, nullable=False),
        sa.UniqueConstraint("number", name="uq_members_member_number"),
    )
    op.create_index("ix_members_member_sort_key", "members_member", ["sort_key", "number"])
    op.create_index("ix_members_member_name_key", "members_member", ["name_key"])
    op.create_index("ix_members_member_email_key", "members_member", ["email_key"])
    counter = op.create_table(
        "members_counter",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_number", sa.Integer, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_members_counter_single"),
    )
    op.bulk_insert(counter, [{"id": 1, "last_number": 0}])


def downgrade() -> None:
    op.drop_table("members_counter")
    op.drop_table("members_member")
