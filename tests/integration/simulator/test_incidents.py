"""Incidents of a simulated fleet, as a real API server and worker see them."""

from pathlib import Path
from typing import Any

from tests.integration.simulator.test_simulate import (
    enrolment_token,
    frames_in,
    history_of,
    interrupt,
    servers_of,
)
from tests.support.processes import answers, bongsu, free_port, logged_in, wait_for

RULE = {
    "name": "Storm",
    "condition": {"type": "threshold", "metric": "cpu_usage_ratio", "function": "min", "window": "3s", "value": 0.93},
    "for": "0s",
}
# Long enough to be seen on a slow machine.
STORM = "cpu-storm:servers=web-01,after=8s,for=15s"
PARTITION = "partition:servers=db-01,after=8s,for=8s"
AFTER_PARTITION_MS = 19_000


def test_a_storm_fires_a_rule_that_resolves_after_it_and_a_partition_leaves_no_hole(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = ("server", "--port", str(port), "--data-dir", str(tmp_path / "server"))
    with bongsu(*server, BONGSU_ALERT_INTERVAL="1s") as process:
        wait_for(lambda: answers(url) or process.poll() is not None, "the API server")
        with logged_in(url) as client:
            client.post("/api/alerts/rules", json=RULE).raise_for_status()
            fleet = ["--servers", "2", "--interval", "1s", "--url", url, "--data-dir", str(tmp_path / "fleet")]
            fleet += ["--enrolment-token", enrolment_token(client), "--incident", STORM, "--incident", PARTITION]
            with bongsu("simulate", *fleet) as simulator:

                def events(kind: str) -> list[dict[str, Any]]:
                    assert simulator.poll() is None, simulator.communicate()[0]
                    found = client.get("/api/events", params={"type": kind}).raise_for_status().json()["events"]
                    return [event for event in found if event["rule_name"] == RULE["name"]]

                (fired,) = wait_for(lambda: events("alert_fired"), "the alert")
                (resolved,) = wait_for(lambda: events("alert_resolved"), "its end")
                ids = {name: one["id"] for name, one in servers_of(client).items()}
                assert fired["server_id"] == resolved["server_id"] == ids["web-01"]
                assert len(events("alert_fired")) == 1

                def caught_up() -> bool:
                    """Whether the partition is over, and all that waited for its end has come."""
                    (usage,) = history_of(client, "cpu_usage_ratio", ids["db-01"])
                    return bool(usage["times"][-1] - usage["times"][0] >= AFTER_PARTITION_MS)

                wait_for(caught_up, "what the partition held back")
                output = interrupt(simulator)
            assert simulator.returncode == 0, output
            assert frames_in(output, "lost") == frames_in(output, "rejected") == 0
            assert frames_in(output, "late") >= 6
            (load,) = history_of(client, "load_1m", ids["web-01"])
            assert max(load["values"]) > load["values"][0] + 1
            (usage,) = history_of(client, "cpu_usage_ratio", ids["db-01"])
            steps = {after - before for before, after in zip(usage["times"], usage["times"][1:], strict=False)}
            assert steps == {1_000}


def test_an_incident_that_the_fleet_cannot_have_ends_with_an_error(tmp_path: Path) -> None:
    for text, message in (
        ("fire", "--incident: 'fire' is no kind of incident: use cpu-storm, disk-full"),
        ("cpu-storm:servers=3", "--incident: cpu-storm: servers: 3 is more than the fleet has (2)."),
    ):
        with bongsu("simulate", "--servers", "2", "--data-dir", str(tmp_path), "--incident", text) as process:
            output = process.communicate()[0]
        assert process.returncode == 2
        assert message in output
