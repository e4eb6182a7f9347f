"""Alembic's entry: runs on the connection, and in the transaction, that ``upgrade`` was given."""

from alembic import context

from bongsu.server.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most of a table; batch mode copies it.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
