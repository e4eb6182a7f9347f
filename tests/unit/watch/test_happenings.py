"""Events as sentences."""

import pytest

from bongsu.core.events import Event, EventType
from bongsu.watch.happenings import sentence

ALERT = {
    "alert_id": 7,
    "rule_name": "Disk full",
    "severity": "critical",
    "series": 'filesystem_usage_ratio{mountpoint="/"}',
}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        pytest.param(Event(EventType.AGENT_UPDATED, 1, 1, "web-1", before="0.1.0", after="0.2.0"), "agent updated from 0.1.0 to 0.2.0", id="agent"),
        pytest.param(Event(EventType.CLOCK_JUMPED, 1, 1, "web-1", before="0", after="60000"), "clock jumped forward by 1m", id="clock"),
        pytest.param(Event(EventType.CLOCK_JUMPED, 1, 1, "web-1", before="0", after="-3725000"), "clock jumped back by 1h 2m", id="clock, back"),
        pytest.param(Event(EventType.CLOCK_JUMPED, 1, 1, "web-1", before="?", after="?"), "clock jumped from ? ms to ? ms", id="clock, no numbers"),
        pytest.param(Event(EventType.REBOOTED, 1, 1, "web-1", after="soon\n"), "rebooted at soon\\n", id="reboot, no time"),
        pytest.param(Event(EventType.ALERT_FIRED, 1, 1, "web-1", **ALERT), 'alert (critical): Disk full filesystem_usage_ratio{mountpoint="/"}', id="alert"),
        pytest.param(Event(EventType.ALERT_RESOLVED, 1, 1, "web-1", rule_name="CPU", series="cpu_usage_ratio"), "resolved: CPU", id="resolved"),
        pytest.param(Event(EventType.ALERT_ACKNOWLEDGED, 1, 1, "web-1", rule_name="CPU", after="a@b.test"), "a@b.test acknowledged: CPU", id="acknowledged"),
        pytest.param(Event(EventType.CONTAINER_FAILED, 1, 1, "web-1", before="job", after="2"), "container job failed with exit code 2", id="failed"),
        pytest.param(Event(EventType.CONTAINER_OOM_KILLED, 1, 1, "web-1", before="job"), "container job: a process was killed for want of memory", id="oom"),
        pytest.param(Event(EventType.CONTAINER_RESTARTED, 1, 1, "web-1", before="a\nb", after="1"), "container a\\nb was restarted after exit code 1", id="restarted"),
        pytest.param(Event(EventType.CONTAINER_UNHEALTHY, 1, 1, "web-1", before="db"), "container db is unhealthy", id="unhealthy"),
        pytest.param(Event(EventType.CONTAINER_EVICTED, 1, 1, "web-1", before="a/b/c"), "container a/b/c was evicted", id="evicted"),
        pytest.param(Event(EventType.SERVER_DOWN, 1, 1, "web-1"), None, id="a state"),
    ],
)  # fmt: skip
def test_sentences(event: Event, text: str | None) -> None:
    assert sentence(event) == text


def test_the_time_of_a_reboot_is_local() -> None:
    text = sentence(Event(EventType.REBOOTED, 1, 1, "web-1", after="1785430324000"))
    assert text is not None
    assert text.startswith("rebooted at 2026-07-")
