"""A real Prometheus sends what it scrapes: all of it is stored, also when Bongsu is killed meanwhile."""

import signal
from pathlib import Path

from tests.support.importing import stored
from tests.support.processes import Part, answers, free_port, logged_in, running, wait_for
from tests.support.prometheus import node_exporter, now_ms, prometheus

SECONDS = 12


def test_every_sample_arrives_and_a_kill_loses_none(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["server", "--port", str(port), "--data-dir", str(tmp_path / "bongsu")]
    bongsu = Part(arguments, {})
    with running({"bongsu": bongsu}), node_exporter() as exporter:
        wait_for(lambda: bongsu.runs() and answers(url), "Bongsu")
        with logged_in(url) as client:
            new = {"name": "prometheus", "scope": "writer"}
            token = client.post("/api/tokens", json=new).raise_for_status().json()["token"]
        remote_write = {
            "url": f"{url}/api/v1/write",
            "authorization": {"credentials": token},
            "queue_config": {"batch_send_deadline": "1s", "max_backoff": "1s"},
            "metadata_config": {"send_interval": "1s"},
        }
        with prometheus(tmp_path, {"node": exporter}, remote_write) as sender:
            start_ms = now_ms() + 1_000

            def scraped(end_ms: int) -> bool:
                return bool(sender.query("up", now_ms())) and now_ms() > end_ms

            wait_for(lambda: scraped(start_ms + SECONDS * 500), "half of the samples")
            bongsu.kill()
            wait_for(lambda: scraped(start_ms + SECONDS * 800), "samples while Bongsu is away")
            bongsu.start()
            end_ms = start_ms + SECONDS * 1_000
            wait_for(lambda: scraped(end_ms + 1_000), "all samples")
            wait_for(lambda: bongsu.runs() and answers(url), "Bongsu")
            expected = sender.samples(start_ms, end_ms)
            assert len(expected) > 500
            with logged_in(url) as client:
                # What Prometheus answers may grow for a moment after its end.
                wait_for(
                    lambda: stored(client, start_ms, end_ms) == sender.samples(start_ms, end_ms), "the same samples"
                )
                (server,) = client.get("/api/servers").json()["servers"]
                assert server["name"] == "127.0.0.1"
                (load,) = client.get("/api/v1/metadata", params={"metric": "node_load1"}).json()["data"]["node_load1"]
                assert load == {"type": "gauge", "help": "1m load average.", "unit": ""}
                health = client.get("/api/health").json()
                assert health["ingest"]["samples_refused_total"] == {}
        assert bongsu.process is not None
        bongsu.process.send_signal(signal.SIGTERM)
        assert bongsu.process.wait(60) == 0
