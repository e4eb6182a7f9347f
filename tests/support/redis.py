"""A real Redis. Import the fixture into a test module or a conftest.py."""

from collections.abc import Iterator

import pytest
from scripts.cluster import Redis

__all__ = ["Redis", "redis"]


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()
