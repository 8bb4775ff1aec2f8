"""Alembic's entry: migrates the connection it is handed, or else the database that the settings name."""

from alembic import context

from service.settings import Settings
from service.store.database import Database
from service.store.tables import Row

connection = context.config.attributes.get("connection")
if connection is not None:
    context.configure(connection=connection, target_metadata=Row.metadata, render_as_batch=True)
    context.run_migrations()
else:
    with Database(Settings().database).connection() as own:
        context.configure(connection=own, target_metadata=Row.metadata, render_as_batch=True)
        context.run_migrations()
