"""A thousand servers and more than 10,000 samples a second for half a minute: all that was acknowledged is read back."""

import re
import signal
from pathlib import Path

from benchmarks.fleet import read_back
from tests.support.processes import Part, answers, drained, free_port, logged_in, running, wait_for

SERVERS = 1_000
# Each has more than a hundred series.
SAMPLES = 100
ROUNDS = 3


def test_nothing_of_a_thousand_servers_is_lost(tmp_path: Path) -> None:
    port = free_port()
    url, data = f"http://127.0.0.1:{port}", tmp_path / "bongsu"
    bongsu = Part(["server", "--port", str(port), "--data-dir", str(data)], {})
    fleet = Part(
        ["simulate", "--servers", str(SERVERS), "--url", url, "--data-dir", str(tmp_path / "fleet")],
        {},
    )
    with running({"bongsu": bongsu}):
        wait_for(lambda: bongsu.runs() and answers(url), "Bongsu")
        assert bongsu.process is not None
        drained(bongsu.process)  # it logs each new server
        with logged_in(url) as client:
            enrolment = {"name": "tests", "uses": 0}
            token = client.post("/api/enrolment-tokens", json=enrolment).raise_for_status().json()["token"]
            fleet.environment["BONGSU_SIMULATE_ENROLMENT_TOKEN"] = token
            with running({"fleet": fleet}):

                def ingested() -> tuple[int, int]:
                    health = client.get("/api/health").json()
                    return int(health["servers"]), int(health["ingest"]["frames_total"])

                wait_for(lambda: fleet.runs() and ingested()[0] == SERVERS, "all servers")
                began = ingested()[1]
                wait_for(lambda: ingested()[1] >= began + ROUNDS * SERVERS, "some frames of each")
                assert fleet.process is not None
                fleet.process.send_signal(signal.SIGINT)
                summary, _ = fleet.process.communicate(timeout=120)
                assert fleet.process.returncode == 0, summary
            health = client.get("/api/health").json()
            assert health["status"] == "ok", health["problems"]
            assert not health["ingest"]["rejected_total"]
            names = {server["name"] for server in client.get("/api/servers").json()["servers"]}
    numbers = {word: int(number.replace(",", "")) for number, word in re.findall(r"([\d,]*\d) (\w+)", summary)}
    assert numbers["lost"] == numbers["rejected"] == 0, summary
    frames, samples = read_back(data)
    assert len(names) == SERVERS
    assert frames == numbers["stored"] + numbers["duplicates"]
    assert (frames, samples) == (health["ingest"]["frames_total"], health["ingest"]["samples_total"])
    assert samples >= SAMPLES * frames
