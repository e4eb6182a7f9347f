"""A real agent samples every second while somebody looks at its server, and goes back."""

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
        token = client.headers["Authorization"].removeprefix("Bearer ")
        enrolment = client.post("/api/enrolment-tokens", json={"name": "tests"}).raise_for_status().json()["token"]
        environment = {
            "BONGSU_AGENT_SERVER": url,
            "BONGSU_AGENT_DATA_DIR": str(tmp_path / "agent"),
            "BONGSU_AGENT_ENROLMENT_TOKEN": enrolment,
            "BONGSU_AGENT_INTERVAL": "5s",
            # Whatever it costs on this machine.
            "BONGSU_AGENT_LIMITS_CPU": "100%",
        }
        with bongsu("agent", "run", **environment):

            def times() -> list[int]:
                asked = {"metric": "cpu_usage_ratio", "start": "-1h", "max_points": 10_000}
                answer = client.get("/api/metrics/history", params=asked).raise_for_status().json()
                return [time_ms for series in answer["series"][:1] for time_ms in series["times"]]

            def steps() -> list[int]:
                return [later - earlier for earlier, later in pairwise(times())]

            wait_for(times, "the first frame")
            (server,) = client.get("/api/servers").raise_for_status().json()["servers"]
            with connect(url.replace("http", "ws") + "/api/ws", proxy=None) as socket:
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
                    arrived = [sample.time_ms for sample in seen.samples]
                    return [later - earlier for earlier, later in pairwise(arrived)].count(FAST_MS) >= 3

                wait_for(hurries, "samples of every second")
            wait_for(lambda: steps()[-2:] == [OWN_MS, OWN_MS], "its own interval again")
            (server,) = client.get("/api/servers").raise_for_status().json()["servers"]
            assert (server["interval_ms"], server["state"]) == (OWN_MS, "up")
            found = times()
            complete = client.get(
                "/api/metrics/completeness", params={"start": found[1], "end": found[-1] + 1}
            ).raise_for_status()
            assert complete.json()["servers"][0]["gaps"] == []
