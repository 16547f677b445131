"""Registers, sessions, tickets, categories and notebook imports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "caisse_category",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("min_price_cents", sa.BigInteger(), nullable=True),
        sa.Column("max_price_cents", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["caisse_category.id"], name="fk_caisse_category_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_category"),
    )
    op.create_index("uq_caisse_category_child", "caisse_category", ["parent_id", "name_key"], unique=True)
    op.create_index(
        "uq_caisse_category_root",
        "caisse_category",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text("parent_id IS NULL"),
        postgresql_where=sa.text("parent_id IS NULL"),
    )
    op.create_table(
        "caisse_import",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("notebook_total_cents", sa.BigInteger(), nullable=True),
        sa.Column("notebook_total_grams", sa.BigInteger(), nullable=True),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("total_grams", sa.BigInteger(), nullable=False),
        sa.Column("notices", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_import"),
        sa.UniqueConstraint("sha256", name="uq_caisse_import_sha256"),
    )
    op.create_table(
        "caisse_register",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("deferred", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_register"),
        sa.UniqueConstraint("name_key", name="uq_caisse_register_name_key"),
    )
    op.create_index(
        "uq_caisse_register_deferred",
        "caisse_register",
        ["deferred"],
        unique=True,
        sqlite_where=sa.text("deferred"),
        postgresql_where=sa.text("deferred"),
    )
    op.create_table(
        "caisse_session",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("register_id", sa.String(length=36), nullable=False),
        sa.Column("import_id", sa.String(length=36), nullable=True),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("deferred", sa.Boolean(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opening_float_cents", sa.BigInteger(), nullable=False),
        sa.Column("ticket_count", sa.BigInteger(), nullable=False),
        sa.Column("sales_cents", sa.BigInteger(), nullable=False),
        sa.Column("donations_cents", sa.BigInteger(), nullable=False),
        sa.Column("cash_cents", sa.BigInteger(), nullable=False),
        sa.Column("card_cents", sa.BigInteger(), nullable=False),
        sa.Column("check_cents", sa.BigInteger(), nullable=False),
        sa.Column("counted_cash_cents", sa.BigInteger(), nullable=True),
        sa.Column("variance_comment", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["caisse_import.id"], name="fk_caisse_session_import_id"),
        sa.ForeignKeyConstraint(["register_id"], ["caisse_register.id"], name="fk_caisse_session_register_id"),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_session"),
    )
    op.create_index(
        "uq_caisse_session_open",
        "caisse_session",
        ["register_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open' AND NOT deferred"),
        postgresql_where=sa.text("status = 'open' AND NOT deferred"),
    )
    op.create_index(
        "uq_caisse_session_open_day",
        "caisse_session",
        ["import_id", "business_date"],
        unique=True,
        sqlite_where=sa.text("status = 'open' AND deferred"),
        postgresql_where=sa.text("status = 'open' AND deferred"),
    )
    op.create_table(
        "caisse_ticket",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("refund_of", sa.String(length=36), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("client_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("sales_cents", sa.BigInteger(), nullable=False),
        sa.Column("donation_cents", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("source_file", sa.Text(), nullable=True),
        sa.Column("source_line", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["refund_of"], ["caisse_ticket.id"], name="fk_caisse_ticket_refund_of"),
        sa.ForeignKeyConstraint(["session_id"], ["caisse_session.id"], name="fk_caisse_ticket_session_id"),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_ticket"),
    )
    op.create_index("ix_caisse_ticket_refund_of", "caisse_ticket", ["refund_of"])
    op.create_index("uq_caisse_ticket_client", "caisse_ticket", ["client_id"], unique=True)
    op.create_index("uq_caisse_ticket_number", "caisse_ticket", ["session_id", "number"], unique=True)
    op.create_table(
        "caisse_import_line",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("import_id", sa.String(length=36), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("notices", sa.JSON(), nullable=False),
        sa.Column("raw", sa.JSON(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=True),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("weight_grams", sa.BigInteger(), nullable=True),
        sa.Column("price_cents", sa.BigInteger(), nullable=True),
        sa.Column("method", sa.String(length=10), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.String(length=36), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["caisse_import.id"], name="fk_caisse_import_line_import_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["caisse_ticket.id"], name="fk_caisse_import_line_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_import_line"),
    )
    op.create_index("ix_caisse_import_line_fingerprint", "caisse_import_line", ["fingerprint"])
    op.create_index("uq_caisse_import_line", "caisse_import_line", ["import_id", "line"], unique=True)
    op.create_table(
        "caisse_payment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("ticket_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("tendered_cents", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["ticket_id"], ["caisse_ticket.id"], name="fk_caisse_payment_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_payment"),
    )
    op.create_index("ix_caisse_payment_ticket_id", "caisse_payment", ["ticket_id"])
    op.create_table(
        "caisse_ticket_line",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("ticket_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("category_id", sa.String(length=36), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("weight_grams", sa.BigInteger(), nullable=True),
        sa.Column("unit_price_cents", sa.BigInteger(), nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("warning", sa.String(length=30), nullable=True),
        sa.Column("refund_of", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["category_id"], ["caisse_category.id"], name="fk_caisse_ticket_line_category_id"),
        sa.ForeignKeyConstraint(["refund_of"], ["caisse_ticket_line.id"], name="fk_caisse_ticket_line_refund_of"),
        sa.ForeignKeyConstraint(["ticket_id"], ["caisse_ticket.id"], name="fk_caisse_ticket_line_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_caisse_ticket_line"),
    )
    op.create_index("ix_caisse_ticket_line_refund_of", "caisse_ticket_line", ["refund_of"])
    op.create_index("ix_caisse_ticket_line_ticket_id", "caisse_ticket_line", ["ticket_id"])


def downgrade() -> None:
    op.drop_table("caisse_ticket_line")
    op.drop_table("caisse_payment")
    op.drop_table("caisse_import_line")
    op.drop_table("caisse_ticket")
    op.drop_table("caisse_session")
    op.drop_table("caisse_register")
    op.drop_table("caisse_import")
    op.drop_table("caisse_category")
