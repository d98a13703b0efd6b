"""How Alembic meets the database: the address comes from the caller, the tables from the store."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, event
from sqlmodel import SQLModel

import app.store.tables  # noqa: F401  (declares the tables)


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
# The driver would leave tables outside of transactions: a migration that breaks off could never be made again.
event.listen(engine, "connect", _leave_transactions_to_us)
event.listen(engine, "begin", _begin)

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
