"""Turns: what processes on one database do one after the other, because they would get in each other's way."""

from enum import IntEnum

from sqlalchemy import Connection, text


class Turn(IntEnum):
    """What is done one after the other; the value is the key of PostgreSQL's lock."""

    UPGRADE = 8600
    FIRST_USER = 8601
    SIGNING_KEY = 8602
    RULES = 8603
    CHANNELS = 8604


def take_turn(connection: Connection, turn: Turn) -> None:
    """Waits until no other transaction has this turn, and has it until the end of this one. On SQLite, the write lock
    does the same."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": int(turn)})
