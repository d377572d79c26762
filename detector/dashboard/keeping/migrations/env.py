"""Run by Alembic, in the transaction that keeping/opening.py began."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
