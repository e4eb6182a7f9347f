"""``bongsu agent status``: prints what the running agent does and costs."""

import json
import time
from collections.abc import Mapping
from typing import Any

from bongsu.agent.config import load
from bongsu.agent.status_file import WRITE_INTERVAL_MS, read_status
from bongsu.core.units import format_bytes, format_duration

# The agent has missed two writes.
STALE_SECONDS = 2.5 * WRITE_INTERVAL_MS / 1000


def status(file: str, flags: Mapping[str, str], *, format: str, running: bool = False) -> int:
    """0 if the agent runs and, unless ``running``, reaches its server; else 1."""
    config = load(file=file, flags=flags)
    content = read_status(config.data_dir)
    age_seconds = max(0.0, time.time() - content["time"])
    is_stale = age_seconds > STALE_SECONDS + 2 * content["interval_ms"] / 1000
    if format == "json":
        print(json.dumps({**content, "age_seconds": round(age_seconds, 1), "running": not is_stale}, indent=2))
    else:
        print("\n".join(status_lines(content, age_seconds, is_stale)))
    return 1 if is_stale or not (running or content["server_up"]) else 0


def status_lines(content: Mapping[str, Any], age_seconds: float, is_stale: bool) -> list[str]:
    queue = "empty"
    if content["queue_frames"]:
        oldest_age = format_duration(max(0.0, content["time"] - content["oldest_unsent_ms"] / 1000))
        queue = (
            f"{content['queue_frames']:,} frames, {format_bytes(content['queue_bytes'])}, the oldest {oldest_age} old"
        )
    state = "stopped?" if is_stale else "running"
    server_state = "answers" if content["server_up"] else "does not answer"
    cpu_share = content["cpu_seconds"] / max(1.0, content["running_seconds"])
    fields = [
        ("Agent", f"{state}, process {content['pid']}, {format_duration(age_seconds)} ago"),
        ("Server", f"{', '.join(content['servers'])} {server_state}"),
        ("Queue", queue),
        ("Sent", f"{content['sent_frames']:,} frames, {format_bytes(content['sent_bytes'])}"),
        ("Lost", f"{content['dropped_frames']:,} dropped, {content['rejected_frames']:,} rejected"),
        ("Last error", content["last_error"] or "none"),
        ("Own cost", f"{cpu_share:.3%} of a core since the start, {format_bytes(content['memory_bytes'])}"),
    ]
    lines = [f"{label:12}{text}" for label, text in fields]
    for name, cost in sorted(content["collectors"].items(), key=lambda item: -item[1]["cpu_seconds"]):
        milliseconds_per_run = cost["cpu_seconds"] / max(1, cost["runs"]) * 1000
        notes = [f"{content['collector_errors'][name]} errors"] if name in content["collector_errors"] else []
        notes += ["hangs"] if cost["hanging"] else []
        lines.append(f"  {name:12}{milliseconds_per_run:6.2f} ms {' '.join(notes)}".rstrip())
    lines += [_target_line(name, target) for name, target in content.get("targets", {}).items()]
    return lines


def _target_line(name: str, target: Mapping[str, Any]) -> str:
    if not target["scrapes"]:
        state = "not scraped yet"
    elif target["last_error"]:
        state = f"fails: {target['last_error']}"
    else:
        state = f"{target['kept']:,} series in {target['seconds'] * 1000:.0f} ms"
    counts = {"failed": "failed_scrapes", "skipped": "skipped_scrapes", "samples left out": "dropped_samples"}
    notes = [f"{target[field]:,} {word}" for word, field in counts.items() if target[field]]
    if target["unsendable"]:
        notes.append(target["unsendable"])
    return f"Target      {name}: {'; '.join([state, *notes])}"
