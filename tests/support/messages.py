"""A notification's message, with every part that a message can have."""

import io
from dataclasses import replace
from typing import Any

from PIL import Image

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.message import Explanation, Message, build
from bongsu.alerts.rules import Severity
from bongsu.alerts.rules_file import parse_rule
from bongsu.core.samples import Container, Process

NOW = 1_785_430_324_000
EVIL = "<b onload=x>{{7*7}}{% raw %}${7*7}\"'&<!channel>@everyone [x](http://evil)"


def a_png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    return stream.getvalue()


def a_message(
    name: str = "web-1",
    *,
    language: Any = "en",
    event: Event = Event.FIRED,
    count: int = 1,
    description: str | None = None,
    **more: Any,
) -> Message:
    rule = parse_rule(
        {
            "name": "CPU",
            "description": f"Look at {name}"[:1000] if description is None else description,
            "condition": {"type": "threshold", "metric": "cpu_usage_ratio", "function": "last", "value": 0.9},
        }
    )
    alerts = [
        Alert(alert_id, 1, "CPU", Severity.CRITICAL, 1, alert_id, name, 'cpu_usage_ratio{core="' + name + '"}', "firing", "breach", NOW - 60_000, NOW, None, 0.97, 0.9)
        for alert_id in range(1, count + 1)
    ]  # fmt: skip
    explanation = Explanation("ratio", 0.05, [Process(1, name, "root", 1.75, 300 << 20)], NOW, a_png())
    explanation = replace(
        explanation,
        containers=[Container("0123456789ab", name, state="exited", exit_code=137, oom_kills=2, memory_bytes=1 << 20)],
        containers_ms=NOW,
    )
    options: dict[str, Any] = {
        "notification_id": 7,
        "event": event,
        "language": language,
        "zone": "Asia/Seoul",
        "now_ms": NOW,
        "public_url": "https://monitor.example",
        "acknowledge_url": "https://monitor.example/api/alerts/acknowledge?token=t",
    }
    return build(alerts, rule, explanation, **options | more)
