"""How Alembic meets the database: the address comes from the caller, the tables from the store."""

from alembic import context
from sqlalchemy import NullPool, create_engine
from sqlmodel import SQLModel

import app.store.tables  # noqa: F401  (declares the tables)

with create_engine(context.config.attributes["url"], poolclass=NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
