"""kill -9 of the API server, again and again under load, loses no acknowledged frame and stores none twice."""

import random
import signal
import sqlite3
from pathlib import Path

from tests.support.load import Load
from tests.support.processes import api_server, drained, free_port, wait_for

KILLS = 4
AGENTS = 8


def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    chance = random.Random(7)
    with api_server(tmp_path, port):
        load = Load(url, AGENTS)
    with load.sending():
        for _ in range(KILLS):
            with api_server(tmp_path, port) as process:
                drained(process)
                enough = load.acknowledged + chance.randint(AGENTS, 40 * AGENTS)
                wait_for(lambda enough=enough: load.acknowledged >= enough, "frames")
                process.send_signal(signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL
        with api_server(tmp_path, port) as process:
            drained(process)
            load.goes_on()
            load.stop()
            assert load.surprises == []
            # Through the API, as a person would look.
            load.check_stored(url)
    with sqlite3.connect(tmp_path / "bongsu.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (stored,) = database.execute("SELECT count(*) FROM frames").fetchone()
        assert stored == load.acknowledged, "no frame but those"
    database.close()
