"""How many connections a fleet shares."""

import sys

import pytest

from bongsu.core.errors import ConfigError
from bongsu.simulator.api import pool_size


@pytest.mark.parametrize(("servers", "size"), [(1, 8), (160, 8), (1_000, 50), (20_000, 500)])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_servers_share_connections(servers: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (size + 32, size + 32))
    assert pool_size(servers) == size
    monkeypatch.setattr(resource, "getrlimit", lambda which: (size + 31, size + 31))
    with pytest.raises(ConfigError, match=rf"need {size + 32} open files.*ulimit -n {size + 32}"):
        pool_size(servers)
