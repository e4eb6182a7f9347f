"""What the tests of faults share."""

from tests.support.postgres import new_postgres_database
from tests.support.redis import redis

__all__ = ["new_postgres_database", "redis"]
