"""The one migration tree, for SQLite, PostgreSQL and Citus alike."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from bongsu.core.errors import BongsuError
from bongsu.server.database.turns import Turn, take_turn


class DatabaseTooNew(BongsuError):
    """A newer version of Bongsu made this database; upgrade Bongsu."""

    code = "database_too_new"


def upgrade(connection: Connection) -> tuple[str | None, str]:
    """Brings the tables up to date inside the caller's transaction. Returns the revision before and after.

    Raises:
        DatabaseTooNew: the database has a revision that this version does not know.
    """
    take_turn(connection, Turn.UPGRADE)
    before, known = current_revision(connection), revisions()
    if before is not None and before not in known:
        raise DatabaseTooNew(f"The database has revision {before} of a newer version of Bongsu: upgrade Bongsu.")
    if before != known[-1]:
        # Takes half a second to import, which a start without an upgrade need not spend.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, known[-1]


def revisions() -> list[str]:
    """All revisions of this version, oldest first: the files of ``versions`` begin with them (a test compares)."""
    return sorted(file.name.partition("_")[0] for file in (Path(__file__).parent / "versions").glob("[0-9]*.py"))


def current_revision(connection: Connection) -> str | None:
    """The revision of the tables; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)
