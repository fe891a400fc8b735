"""Alembic's entry point. Knows no address: `migrate` hands it an open connection."""

from alembic import context

from persistence.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
