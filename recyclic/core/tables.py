"""The host's own tables: users, failed sign-ins, and the bus's outbox."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table

from recyclic.core.events.outbox_rows import metadata as outbox_metadata

metadata = MetaData()
for _table in outbox_metadata.tables.values():
    _table.to_metadata(metadata)

host_user = Table(
    "host_user",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("name_key", String(200), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("permissions", JSON, nullable=False),
    Column("session_key", String(64), nullable=False),
    Column("created_at", Float(53), nullable=False),
)
"""`name_key` is the name without case and accents' spelling; a new `session_key` ends every session of the user."""

host_sign_in_failure = Table(
    "host_sign_in_failure",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name_key", String(200), nullable=False),
    Column("failed_at", Float(53), nullable=False),
    Index("ix_host_sign_in_failure_name_key", "name_key", "failed_at"),
)
"""Attempts that have not succeeded, of the last minutes, for all processes together."""
