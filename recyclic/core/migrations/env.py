"""Alembic's environment for every history: the connection and the options come from `recyclic.core.migration`."""

from alembic import context

options = context.config.attributes
context.configure(
    connection=options["connection"],
    target_metadata=options["metadata"],
    version_table=options["version_table"],
    include_name=options["include_name"],
    render_as_batch=True,  # SQLite cannot alter a table in place
)
context.run_migrations()
