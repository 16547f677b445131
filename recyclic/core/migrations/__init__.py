"""Migrations: one history for the host and one for each module, run by the host under a lock."""
