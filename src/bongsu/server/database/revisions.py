"""Revisions: how the processes on one database learn that something they hold in memory has changed.

Each part has a number that rises in the transaction of every change. A process that holds a part in memory compares
the numbers now and then, and loads the part again when its number has changed.
"""

from sqlalchemy import Connection, bindparam, select, update

from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import auth_revisions

# The part of the servers: their tags, whether they are retired or deleted, and the layouts that were forgotten.
SERVERS = "servers"
# The part of what agents send: new servers and layouts, and what they report of themselves. Apart from the other, which
# every commit of frames holds.
REPORTED = "reported"


def add_revision(connection: Connection, part: str) -> None:
    """Adds the revision of a part, unless it is there already."""
    connection.execute(insert_or_ignore(connection, auth_revisions).values(part=part, revision=0))


def bump_revision(connection: Connection, part: str) -> None:
    """Tells every process that a part has changed; belongs in the transaction that changes it."""
    add_revision(connection, part)
    this_part = auth_revisions.c.part == part
    connection.execute(update(auth_revisions).where(this_part).values(revision=auth_revisions.c.revision + 1))


def load_revisions(connection: Connection) -> dict[str, int]:
    """Part -> revision."""
    rows = connection.execute(select(auth_revisions.c.part, auth_revisions.c.revision))
    return {row.part: row.revision for row in rows}


def hold_revision(connection: Connection, part: str) -> int:
    """The revision of a part, which nobody changes before this transaction ends; it must not only read.

    Each commit of frames calls it: on SQLite the driver's own cursor takes a tenth of the time.
    """
    if connection.dialect.name == "postgresql":
        return connection.execute(_HELD, {"part": part}).scalar() or 0
    cursor = connection.connection.cursor()
    row = cursor.execute("SELECT revision FROM auth_revisions WHERE part = ?", (part,)).fetchone()
    cursor.close()
    return 0 if row is None else int(row[0])


_HELD = select(auth_revisions.c.revision).where(auth_revisions.c.part == bindparam("part")).with_for_update(read=True)
