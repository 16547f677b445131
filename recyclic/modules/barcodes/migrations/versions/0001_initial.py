"""The labels and the counter of their numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "barcodes_label",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("code", sa.String(13), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("category_name", sa.String(200)),
        sa.Column("price_cents", sa.Integer, nullable=False),
        sa.Column("weight_grams", sa.Integer),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("code", name="uq_barcodes_label_code"),
        sa.UniqueConstraint("number", name="uq_barcodes_label_number"),
        sa.CheckConstraint("price_cents >= 0", name="ck_barcodes_label_price"),
        sa.CheckConstraint("weight_grams >= 0", name="ck_barcodes_label_weight"),
    )
    counter = op.create_table(
        "barcodes_counter",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_barcodes_counter_single"),
    )
    op.bulk_insert(counter, [{"id": 1, "last_number": 0}])


def downgrade() -> None:
    op.drop_table("barcodes_counter")
    op.drop_table("barcodes_label")
