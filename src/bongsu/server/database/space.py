"""How much space the database takes, and giving free space back to the disk."""

from functools import reduce
from operator import add

from sqlalchemy import Connection, LargeBinary, func, select, text

from bongsu.server.database.dialect import is_distributed
from bongsu.server.database.tables import metadata

# What a row takes on PostgreSQL beside its values: tuple header, key and index entry.
_ROW_BYTES = 100


def used_bytes(connection: Connection) -> int:
    """Bytes in use: on SQLite without free pages, on PostgreSQL without dead rows and free space."""
    if connection.dialect.name == "sqlite":
        return (_pragma(connection, "page_count") - _pragma(connection, "freelist_count")) * _page_size(connection)
    total = 0
    for table in metadata.sorted_tables:
        # The tables of metrics: the only ones that grow with the number of servers and with time.
        binary = [column for column in table.c if isinstance(column.type, LargeBinary)]
        if not binary or "server_id" not in table.primary_key.columns:
            continue
        lengths = reduce(add, (func.octet_length(column) for column in binary))
        query = select(func.count() * _ROW_BYTES + func.coalesce(func.sum(lengths), 0)).select_from(table)
        total += int(connection.scalar(query) or 0)
    return total


def file_bytes(connection: Connection) -> int:
    """Bytes on disk: the SQLite file without its log, or all relations of PostgreSQL, on all nodes of Citus."""
    if connection.dialect.name == "sqlite":
        return _pragma(connection, "page_count") * _page_size(connection)
    size = "pg_database_size(current_database())"
    if is_distributed(connection):
        size += " + (SELECT sum(citus_total_relation_size(logicalrelid)) FROM pg_dist_partition)"
    return int(connection.scalar(text(f"SELECT {size}")) or 0)


def free_bytes(connection: Connection) -> int:
    """Bytes of free pages in the SQLite file; 0 on PostgreSQL, where autovacuum manages free space."""
    if connection.dialect.name != "sqlite":
        return 0
    return _pragma(connection, "freelist_count") * _page_size(connection)


def give_back(connection: Connection, limit_bytes: int) -> None:
    """Truncates the SQLite file by up to ``limit_bytes`` of free pages. Does nothing on PostgreSQL."""
    if connection.dialect.name == "sqlite":
        pages = limit_bytes // _page_size(connection)
        if pages > 0:  # 0 means all pages
            # Each step of the statement frees one page; SQLAlchemy would stop after the first.
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA incremental_vacuum({pages})")
            cursor.fetchall()
            cursor.close()


def _page_size(connection: Connection) -> int:
    return _pragma(connection, "page_size")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
