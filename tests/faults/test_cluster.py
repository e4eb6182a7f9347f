"""A large installation under load: nginx, two API servers, two workers, PostgreSQL and Redis, each killed, stopped or cut
off in turn. Nothing that was acknowledged is lost, no alert is lost or comes twice unsaid, and whoever watches goes on."""

import contextlib
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
from scripts.cluster import Cluster, cluster

from tests.support.processes import QUICK, Part, answers, logged_in, wait_for
from tests.support.programs import need
from tests.support.smtp import Mailbox, mail_server
from tests.support.viewer import Viewer

SERVERS = 20
METRIC = "cpu_usage_ratio"
# Nobody can do anything meanwhile.
NOTHING_GOES = ("nginx killed", "PostgreSQL crashed")
# Soon enough for several tries: half of them may meet an API server that hangs.
ANSWER_SECONDS = 5
REPEATED = "You may have received this before"


def channel(box: Mailbox) -> dict[str, Any]:
    config = {
        "host": "127.0.0.1",
        "port": box.port,
        "security": "none",
        "sender": "bongsu@example.com",
        "to": ["ops@example.com"],
    }
    return {"name": "mail", "type": "email", "default": True, "config": config}


def rule(name: str) -> dict[str, Any]:
    """One alert, of the first server, as soon as this is evaluated."""
    condition = {"type": "threshold", "metric": METRIC, "function": "last", "window": "1m", "value": -1}
    return {"name": name, "scope": {"servers": [1]}, "condition": condition}


def faults(site: Cluster) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """What happens to each part, and how it ends."""

    def killed(part: Any) -> tuple[Callable[[], None], Callable[[], None]]:
        return part.kill, part.start

    def stopped(part: Any) -> tuple[Callable[[], None], Callable[[], None]]:
        return lambda: part.signal(signal.SIGSTOP), lambda: part.signal(signal.SIGCONT)

    parts = site.api | site.workers
    found = {f"{name} killed": killed(part) for name, part in parts.items()}
    found |= {f"{name} stopped": stopped(part) for name, part in parts.items()}
    return found | {
        "nginx killed": killed(site.nginx),
        "Redis gone": (site.redis.stop, site.redis.start),
        "PostgreSQL crashed": (site.postgresql.crash, site.postgresql.start),
    }


def told(mails: list[EmailMessage], *, again: bool) -> Counter[str]:
    """How often each rule's alert was told; ``again``: with mails that say that they may be a repeat."""
    found: Counter[str] = Counter()
    for mail in mails:
        body = mail.get_body(("plain",))
        assert body is not None
        if again or REPEATED not in body.get_content():
            found.update(re.findall(r"fault \d+", str(mail["Subject"])))
    return found


def test_nothing_is_lost_whatever_part_ends(tmp_path: Path) -> None:
    need("nginx")
    with mail_server() as box, cluster(tmp_path / "site", **QUICK, BONGSU_ALERT_INTERVAL="1s") as site:
        for url in (*site.urls, site.url):
            wait_for(lambda url=url: answers(url), "the API servers")
        with logged_in(site.url) as client:
            token = client.headers["Authorization"].removeprefix("Bearer ")
            client.post("/api/alerts/channels", json=channel(box)).raise_for_status()
            enrolment = {"name": "tests", "uses": 0}
            enrolment_token = client.post("/api/enrolment-tokens", json=enrolment).raise_for_status().json()["token"]

        def get(path: str, **parameters: Any) -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            return (
                httpx.get(site.url + path, params=parameters, headers=headers, timeout=ANSWER_SECONDS)
                .raise_for_status()
                .json()
            )

        def eventually(action: Callable[[], Any]) -> Any:
            """What a person does when an answer is an error: again."""
            found: list[Any] = []

            def succeeds() -> bool:
                with contextlib.suppress(httpx.HTTPError):
                    found.append(action())
                return bool(found)

            wait_for(succeeds, "an answer")
            return found[0]

        def add_rule(name: str) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            answer = httpx.post(
                f"{site.url}/api/alerts/rules", json=rule(name), headers=headers, timeout=ANSWER_SECONDS
            )
            # An answer that was lost on the way may have been good.
            if answer.status_code != 409:
                answer.raise_for_status()

        fleet = Part(
            ["simulate", "--servers", str(SERVERS), "--url", site.url, "--interval", "1s"],
            {
                "BONGSU_SIMULATE_DATA_DIR": str(tmp_path / "fleet"),
                "BONGSU_SIMULATE_ENROLMENT_TOKEN": enrolment_token,
            },
        )
        try:
            fleet.start()
            wait_for(lambda: fleet.runs() and len(get("/api/servers")["servers"]) == SERVERS, "all servers")
            viewers = [Viewer([site.url], token, METRIC, (1,)) for _ in range(2)]
            names = []
            for number, (what, (begin, end)) in enumerate(faults(site).items(), 1):
                names.append(f"fault {number}")
                begin()
                if what in NOTHING_GOES:
                    end()
                eventually(lambda: add_rule(names[-1]))
                if what not in NOTHING_GOES:
                    end()
                now_ms = time.time_ns() // 1_000_000
                for viewer in viewers:
                    wait_for(lambda v=viewer, t=now_ms: v.newest_ms > t, f"what is sampled after: {what}")
            wait_for(lambda: set(told(box.mails, again=True)) == set(names), f"a mail of each of {len(names)} alerts")
            assert fleet.process is not None
            fleet.process.send_signal(signal.SIGINT)
            summary, _ = fleet.process.communicate(timeout=120)
            assert fleet.process.returncode == 0, summary
        finally:
            fleet.stack.close()
        assert set(told(box.mails, again=False).values()) == {1}, "none twice without saying so"
        numbers = {word: int(number.replace(",", "")) for number, word in re.findall(r"([\d,]*\d) (\w+)", summary)}
        assert numbers["lost"] == numbers["rejected"] == 0, summary
        # Each server sends a frame a second, and says which it skipped.
        (series,) = eventually(
            lambda: get("/api/metrics/history", server=1, metric=METRIC, start="-1h", max_points=10_000)
        )["series"]
        for viewer in viewers:
            wait_for(lambda viewer=viewer: not viewer.misses(series["times"]), "what every viewer must be told")
            viewer.stop()
            assert viewer.connections > 1
