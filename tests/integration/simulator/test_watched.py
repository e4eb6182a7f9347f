"""A simulated server sends every second while somebody looks at it, and goes back, as a real agent does."""

from itertools import pairwise
from pathlib import Path

from websockets.sync.client import connect

from bongsu.wire import live
from tests.support.live import Seen
from tests.support.processes import api_server, bongsu, free_port, logged_in, wait_for

OWN_MS, FAST_MS = 5_000, 1_000


def test_while_somebody_looks(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path / "server", port), logged_in(url) as client:
        enrolment = client.post("/api/enrolment-tokens", json={"name": "fleet"}).raise_for_status().json()["token"]
        fleet = ("simulate", "--servers", "1", "--interval", "5s", "--url", url, "--data-dir", str(tmp_path / "fleet"))
        with bongsu(*fleet, BONGSU_SIMULATE_ENROLMENT_TOKEN=enrolment):

            def steps() -> list[int]:
                asked = {"metric": "cpu_usage_ratio", "start": "-1h", "max_points": 10_000}
                series = client.get("/api/metrics/history", params=asked).raise_for_status().json()["series"]
                return [later - earlier for earlier, later in pairwise(series[0]["times"] if series else ())]

            (server,) = wait_for(lambda: client.get("/api/servers").raise_for_status().json()["servers"], "the server")
            with connect(url.replace("http", "ws") + "/api/ws", proxy=None) as socket:
                token = client.headers["Authorization"].removeprefix("Bearer ")
                socket.send(live.encode_client(live.Authenticate(live.PROTOCOL, token)))
                wanted = live.Subscribe(
                    1, server_ids=(server["id"],), metrics=("cpu_usage_ratio",), values=True, watch=True
                )
                socket.send(live.encode_client(wanted))
                seen = Seen()

                def hurries() -> bool:
                    message = socket.recv(timeout=60)
                    assert isinstance(message, bytes)
                    seen.take(live.decode_server(message))
                    return [later - earlier for earlier, later in pairwise(seen.times(server["id"]))].count(
                        FAST_MS
                    ) >= 3

                wait_for(hurries, "samples of every second")
            wait_for(lambda: steps()[-2:] == [OWN_MS, OWN_MS], "its own interval again")
            assert client.get("/api/health").raise_for_status().json()["ingest"]["duplicates_total"] == 0
