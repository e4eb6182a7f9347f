"""A real Prometheus scrapes Bongsu itself, and its servers through Bongsu, which it finds by service discovery."""

from pathlib import Path
from typing import Any

import httpx

from bongsu.wire import protobuf
from tests.support.processes import api_server, enrolled, free_port, logged_in, wait_for
from tests.support.prometheus import now_ms, prometheus
from tests.support.pushes import a_frame, a_push


def test_prometheus_reads_a_fleet_through_bongsu(tmp_path: Path) -> None:
    port = free_port()
    url, address = f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"
    with api_server(tmp_path / "bongsu", port):
        for name, token in enrolled(url, "agent-web-1", "agent-web-2").items():
            push = a_push([a_frame(now_ms(), (0.25, 1024.0, 7.0))], name=name.removeprefix("agent-"))
            headers = {"Authorization": f"Bearer {token}", "Content-Type": protobuf.CONTENT_TYPE}
            httpx.post(f"{url}/api/metrics", content=protobuf.encode_push(push), headers=headers).raise_for_status()
        with logged_in(url) as client:
            created = client.post("/api/tokens", json={"name": "prometheus", "scope": "viewer"}).raise_for_status()
        # Without its type, Prometheus 2.42 sends a token for service discovery without the word Bearer.
        authorization = {"authorization": {"type": "Bearer", "credentials": created.json()["token"]}}
        jobs: list[dict[str, Any]] = [
            {"job_name": "bongsu", "static_configs": [{"targets": [address]}], **authorization},
            {
                "job_name": "fleet",
                "http_sd_configs": [{"url": f"{url}/api/targets", "refresh_interval": "1s", **authorization}],
                **authorization,
            },
        ]
        with prometheus(tmp_path, {}, jobs=jobs) as reader:

            def value(query: str) -> dict[str, str]:
                rows = reader.query(query, now_ms())
                return {row["metric"].get("instance", ""): row["value"][1] for row in rows}

            wait_for(lambda: value('up{job="fleet"}') == {"web-1": "1", "web-2": "1"}, "the servers")
            wait_for(lambda: value("cpu_usage_ratio") == {"web-1": "0.25", "web-2": "0.25"}, "their values")
            assert value("network_receive_bytes_total") == {"web-1": "7", "web-2": "7"}
            wait_for(lambda: value("bongsu_ingest_frames_total") == {address: "2"}, "what Bongsu tells of itself")
