"""Connections between the API server and PostgreSQL are cut under load: nothing is lost, and it goes on by itself."""

from collections.abc import Callable
from pathlib import Path

from tests.support.faulty_proxy import FaultyProxy
from tests.support.load import Load
from tests.support.processes import answers, bongsu, drained, free_port, logged_in, wait_for


def test_connections_to_postgresql_are_cut(tmp_path: Path, new_postgres_database: Callable[..., str]) -> None:
    name, folder = new_postgres_database().removeprefix("postgresql://postgres@/").split("?host=")
    proxy = FaultyProxy(unix_socket=f"{folder}/.s.PGSQL.5432")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = {"BONGSU_DATABASE_URL": f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"}
    with bongsu("server", "--port", str(port), "--data-dir", str(tmp_path), **database) as process:
        drained(process)
        wait_for(lambda: answers(url), "the API server")
        load = Load(url)
        with load.sending(), logged_in(url) as client:
            for _ in range(5):
                load.goes_on()
                proxy.reset()
            load.goes_on()
            # Away for longer: each new connection is closed at once.
            proxy.mode = "nothing"
            proxy.reset()
            load.is_refused("database_away")
            problems = client.get("/api/health").raise_for_status().json()["problems"]
            assert "database_away" in [problem["code"] for problem in problems]
            proxy.mode = "pass"
            load.goes_on()
            wait_for(lambda: client.get("/api/health").json()["status"] == "ok", "health")
        assert load.surprises == []
        load.check_stored(url)
    proxy.close()
