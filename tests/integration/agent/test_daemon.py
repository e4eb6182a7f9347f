"""The agent as a whole, within this process."""

import socket
import threading
from pathlib import Path

import pytest

from bongsu.agent.config import Config
from bongsu.agent.daemon import Agent
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.log import Log
from bongsu.agent.stats import Stats
from bongsu.core.clock import SystemClock
from tests.support.agent_fakes import FakeLog
from tests.support.stub_api_server import ApiServer


@pytest.mark.parametrize(("configured", "expected"), [("", "after"), ("chosen", "chosen")])
def test_a_renamed_machine_tells_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str, expected: str
) -> None:
    api = ApiServer()
    monkeypatch.setattr(socket, "gethostname", lambda: "before")
    log_file = tmp_path / "agent.log"
    config = Config(servers=(api.url,), data_dir=str(tmp_path), interval_ms=1000, name=configured)
    backlog = Backlog(str(tmp_path / "buffer"), max_bytes=10**6, max_age_ms=10**9, clock=SystemClock(), log=FakeLog())
    agent = Agent(config, "id", backlog, Stats(), Log(path=str(log_file)))

    class Ticks:
        def wait(self, seconds: float) -> bool:
            if len(api.pushes) >= 2:
                monkeypatch.setattr(socket, "gethostname", lambda: "after")
            threading.Event().wait(min(seconds, 0.05))
            return any(push.host is not None and push.host.hostname == "after" for push in api.pushes)

        def nudge(self) -> None:
            return

    try:
        agent.run(Ticks())  # type: ignore[arg-type]
    finally:
        api.close()
    assert api.pushes[0].host.hostname == "before"
    assert api.pushes[-1].agent.name == expected
    assert api.pushes[-1].agent.agent_id == "id"
    assert "host name changed from before to after" in log_file.read_text()
