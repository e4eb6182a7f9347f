"""Events as sentences."""

from datetime import datetime

from bongsu.core.events import Event, EventType
from bongsu.core.text import visible
from bongsu.core.units import format_duration


def sentence(event: Event) -> str | None:
    """What has happened; None for what the state of the server tells already, such as that it is down."""
    rule = event.rule_name + (f" {event.series}" if "{" in event.series else "")
    match event.type:
        case EventType.AGENT_UPDATED:
            text = f"agent updated from {event.before or 'an unknown version'} to {event.after}"
        case EventType.REBOOTED:
            text = f"rebooted at {_local(event.after)}"
        case EventType.CLOCK_JUMPED:
            text = f"clock jumped {_jump(event.before, event.after)}"
        case EventType.CONTAINER_FAILED:
            text = f"container {event.before} failed with exit code {event.after}"
        case EventType.CONTAINER_OOM_KILLED:
            text = f"container {event.before}: a process was killed for want of memory"
        case EventType.CONTAINER_RESTARTED:
            text = f"container {event.before} was restarted after exit code {event.after}"
        case EventType.CONTAINER_UNHEALTHY:
            text = f"container {event.before} is unhealthy"
        case EventType.CONTAINER_EVICTED:
            text = f"container {event.before} was evicted"
        case EventType.ALERT_FIRED:
            text = f"alert ({event.severity}): {rule}"
        case EventType.ALERT_RESOLVED:
            text = f"resolved: {rule}"
        case EventType.ALERT_ACKNOWLEDGED:
            text = f"{event.after} acknowledged: {rule}"
        case _:
            return None
    return visible(text)


def _local(time_ms: str) -> str:
    """Unix ms as a local time; the text itself if it is none."""
    try:
        return datetime.fromtimestamp(int(time_ms) / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return time_ms


def _jump(before_ms: str, after_ms: str) -> str:
    try:
        jump_ms = int(after_ms or 0) - int(before_ms or 0)
    except ValueError:
        return f"from {before_ms} ms to {after_ms} ms"
    return f"{'back' if jump_ms < 0 else 'forward'} by {format_duration(abs(jump_ms) / 1000)}"
