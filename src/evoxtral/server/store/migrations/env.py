"""What Alembic runs for each migration; the connection is given by `evoxtral.server.store.database`."""

from alembic import context

from evoxtral.server.store.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
