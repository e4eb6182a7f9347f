"""The one migration tree, for SQLite, PostgreSQL and Citus alike."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bongsu.core.errors import BongsuError


class DatabaseTooNew(BongsuError):
    """The database was made by a newer version of Bongsu; upgrade Bongsu."""

    code = "database_too_new"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> tuple[str | None, str | None]:
    """Brings the tables up to date inside the caller's transaction. Returns the revision before and after.

    Raises:
        DatabaseTooNew: the database has a revision that this version does not know.
    """
    before = current_revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if before is not None and before not in known:
        raise DatabaseTooNew(
            f"The database has revision {before}, which a newer version of Bongsu made: upgrade Bongsu."
        )
    if before != revision:
        command.upgrade(_config(connection), revision)
    return before, current_revision(connection)


def current_revision(connection: Connection) -> str | None:
    """The revision of the tables; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()
