"""The one migration tree, for SQLite, PostgreSQL and Citus alike."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, make_url, text

from bongsu.core.errors import BongsuError, ConfigError
from bongsu.server.database.database import Database
from bongsu.server.database.distribution import distribute_new
from bongsu.server.database.turns import Turn, take_turn

logger = logging.getLogger(__name__)


class DatabaseTooNew(BongsuError):
    """A newer version of Bongsu made this database; upgrade Bongsu."""

    code = "database_too_new"


async def open_and_upgrade(database: Database, url: str) -> None:
    """``upgrade`` at the start of a process. ``url``: of the database, to name it.

    Raises:
        ConfigError: the database cannot be opened.
        DatabaseTooNew: as ``upgrade``.
    """
    await reach(database.write, url)
    before, after = await database.write(upgrade, patient=True)
    if before != after:
        logger.info("upgraded from %s to %s", before or "empty", after)


async def reach(access: Callable[[Callable[[Connection], None]], Awaitable[None]], url: str) -> None:
    """Opens a connection. ``access``: the database's ``read`` or ``write``. Raises ConfigError if it cannot do so."""
    try:
        await access(lambda connection: None)
    except Exception as error:  # each driver has errors of its own
        cause = error.__cause__ or error
        cause = getattr(cause, "orig", None) or cause
        why = str(cause).strip().splitlines() or [type(cause).__name__]
        shown = make_url(url).render_as_string(hide_password=True)
        raise ConfigError(f"Cannot open the database {shown} (database_url): {why[0]}") from error


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
        for name in distribute_new(connection):
            logger.info("%s: distributed as the other tables of metrics", name)
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
