"""Real containers from the agent to a mail: one that eats CPU, one that runs out of memory, one that keeps restarting. Each is
seen live, in history, and in an alert that names it."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.agent_fakes import linux_only
from tests.support.podman import Podman, running_podman
from tests.support.processes import answers, bongsu, drained, free_port, logged_in, wait_for
from tests.support.smtp import Mailbox, mail_server

pytestmark = linux_only

AT_ONCE = {"type": "threshold", "function": "increase", "window": "10m", "operator": ">=", "value": 1}
RULES: dict[str, dict[str, Any]] = {
    "Busy": {
        "type": "threshold",
        "metric": "workload_cpu_usage_ratio",
        "function": "max",
        "window": "1m",
        "value": 0.1,
    },
    "Killed": AT_ONCE | {"metric": "workload_oom_kills_total"},
    "Restarting": AT_ONCE | {"metric": "workload_restarts_total", "value": 2},
}
# Each is a workload of its own, as services of Compose are.
SCRIPTS = {
    "busy": ("while :; do :; done", []),
    "hungry": (
        "while :; do (x=a; while :; do x=$x$x; done); sleep 1; done",
        ["--memory", "24m", "--memory-swap", "24m"],
    ),
    "loop": ("sleep 1; exit 3", ["--restart", "always"]),
}
EXPECTED = {"Busy": "busy", "Killed": "hungry", "Restarting": "loop"}


class Site:
    """A Bongsu whose agent knows the containers of one Podman."""

    def __init__(self, url: str, podman: Podman, box: Mailbox) -> None:
        self.url, self.podman, self.box = url, podman, box
        self.client: httpx.Client = logged_in(url)

    def get(self, path: str, **parameters: Any) -> Any:
        return self.client.get(path, params=parameters).raise_for_status().json()

    def mail_about(self, rule: str, name: str) -> str | None:
        """The text of a mail that tells of the rule and names the container."""
        for mail in self.box.mails:
            body = mail.get_body(("plain",))
            text = body.get_content() if body is not None else ""
            if rule in str(mail["Subject"]) and re.search(rf"^  {name}\b", text, re.MULTILINE):
                return str(text)
        return None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        podman = stack.enter_context(running_podman())
        box = stack.enter_context(mail_server())
        server = ("server", "--port", str(port), "--data-dir", str(tmp_path / "server"))
        drained(stack.enter_context(bongsu(*server, BONGSU_ALERT_INTERVAL="1s")))
        wait_for(lambda: answers(url), "the API server")
        site = Site(url, podman, box)
        stack.callback(site.client.close)
        token = site.client.post("/api/enrolment-tokens", json={"name": "tests"}).raise_for_status().json()["token"]
        config = tmp_path / "agent.yml"
        config.write_text(f"collectors:\n  containers:\n    sockets: {podman.socket}\n")
        agent = {"ENROLMENT_TOKEN": token, "SERVER": url, "INTERVAL": "1s", "DATA_DIR": str(tmp_path / "agent")}
        command = ("agent", "run", "--config", str(config))
        drained(stack.enter_context(bongsu(*command, **{f"BONGSU_AGENT_{name}": text for name, text in agent.items()})))
        mail = {
            "host": "127.0.0.1",
            "port": box.port,
            "security": "none",
            "sender": "b@example.com",
            "to": ["o@example.com"],
        }
        channel = {"name": "mail", "type": "email", "default": True, "config": mail}
        site.client.post("/api/alerts/channels", json=channel).raise_for_status()
        for name, condition in RULES.items():
            site.client.post("/api/alerts/rules", json={"name": name, "condition": condition}).raise_for_status()
        yield site


def test_each_is_seen_live_in_history_and_in_a_mail_with_its_name(site: Site) -> None:
    # By its first frame, the agent has asked the daemon.
    wait_for(lambda: site.get("/api/servers")["servers"], "the agent")
    for name, (script, options) in SCRIPTS.items():
        labels = ["--label", "com.docker.compose.project=shop", "--label", f"com.docker.compose.service={name}"]
        site.podman.run(name, script, *options, *labels)

    def live() -> bool:
        answer = site.get("/api/metrics/current", metric="workload_cpu_usage_ratio")
        series = [one for server in answer["servers"] for one in server["series"]]
        return any(one["labels"] == {"workload": "shop/busy"} and (one["value"] or 0) > 0.1 for one in series)

    wait_for(live, "the CPU of a workload, live")
    for rule, name in EXPECTED.items():
        wait_for(lambda rule=rule, name=name: site.mail_about(rule, name), f"a mail about {rule} that names {name}")
    server = site.get("/api/servers")["servers"][0]["id"]

    def listed() -> dict[str, Any]:
        rows = site.get(f"/api/servers/{server}/containers")["containers"]
        return {row["name"]: row for row in rows if row["name"] in SCRIPTS}

    wait_for(lambda: listed().keys() == SCRIPTS.keys() and listed()["hungry"]["oom_kills"], "a list with all of them")
    assert listed()["loop"]["restarts"] > 1
    assert listed()["busy"]["cpu_ratio"] > 0.1
    events = site.get(f"/api/servers/{server}/containers/events", start="-1h")["events"]
    told = {(event["name"], event["type"]) for event in events}
    assert told >= {("busy", "started"), ("hungry", "oom_killed"), ("loop", "restarted"), ("loop", "exited")}
    kinds = {(event["type"], event["before"]) for event in site.get("/api/events", start="-1h")["events"]}
    assert kinds >= {("container_oom_killed", "hungry"), ("container_restarted", "loop"), ("container_failed", "loop")}
    # What was gone is still there when somebody looks back.
    site.podman("rm", "--force", "--time", "0", "loop")
    wait_for(lambda: "loop" not in listed(), "a list without it")
    history = site.get(
        "/api/metrics/history",
        metric="workload_restarts_total",
        labels="workload=shop/loop",
        start="-15m",
        aggregation="last",
    )
    assert max(value for value in history["series"][0]["values"] if value is not None) >= 2
