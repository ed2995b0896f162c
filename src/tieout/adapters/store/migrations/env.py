"""Alembic's entry: runs the revisions on the connection that `database.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from tieout.adapters.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
context.run_migrations()
