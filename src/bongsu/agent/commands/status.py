"""``bongsu agent status``: what the running agent does and costs.

The agent writes ``status.json`` into its data directory once a minute, beside its counters the time of writing, so
that what is shown carries its own age. No socket listens anywhere for it.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bongsu.agent.collectors.agent import resident_bytes
from bongsu.agent.config import Config, load
from bongsu.agent.sampling.runner import Job
from bongsu.agent.stats import Stats
from bongsu.agent.wiring import NAMES
from bongsu.core.errors import ConfigError
from bongsu.core.units import format_bytes, format_duration

FILE = "status.json"
# Two writings and a little: older than that, nobody writes any more.
STALE_SECONDS = 150
_STARTED = time.monotonic()


def write_status(config: Config, stats: Stats, jobs: Sequence[Job]) -> None:
    """Replaces the file in one step. A disk that is full or gone only makes the status stale."""
    content = {
        **asdict(stats),
        "pid": os.getpid(),
        "time": time.time(),
        "running_seconds": time.monotonic() - _STARTED,
        "interval_ms": config.interval_ms,
        "servers": list(config.servers),
        "cpu_seconds": time.process_time(),
        "memory_bytes": resident_bytes(),
        "collectors": {
            job.collector.name: {"runs": job.runs, "cpu_seconds": job.cpu_seconds, "hanging": job.hanging}
            for job in jobs
        },
    }
    path = os.path.join(config.data_dir, FILE)
    try:
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(path + ".new", path)
    except OSError:
        return


def read_status(data_dir: str) -> dict[str, Any]:
    """Raises ConfigError when there is none that can be read."""
    path = os.path.join(data_dir, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            content: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        raise ConfigError(f"No agent has run with {data_dir}. Name its directory with --data-dir.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    return content


def status(file: str, flags: Mapping[str, str], *, form: str) -> int:
    """0: runs and reaches its server; 1: does not."""
    config = load(NAMES, file=file, flags=flags)
    content = read_status(config.data_dir)
    age = max(0.0, time.time() - content["time"])
    stale = age > STALE_SECONDS + 2 * content["interval_ms"] / 1000
    if form == "json":
        print(json.dumps({**content, "age_seconds": round(age, 1), "running": not stale}, indent=2))
    else:
        print("\n".join(as_lines(content, age, stale)))
    return 1 if stale or not content["server_up"] else 0


def as_lines(content: Mapping[str, Any], age: float, stale: bool) -> list[str]:
    """The status as a person reads it."""
    oldest_ms = content["oldest_unsent_ms"]
    waiting = "nothing"
    if content["queue_frames"]:
        old = format_duration(max(0.0, content["time"] - oldest_ms / 1000))
        waiting = f"{content['queue_frames']:,} frames, {format_bytes(content['queue_bytes'])}, the oldest {old} old"
    server = "answers" if content["server_up"] else "does not answer"
    share = content["cpu_seconds"] / max(1.0, content["running_seconds"])
    costs = sorted(content["collectors"].items(), key=lambda item: -item[1]["cpu_seconds"])
    lines = [
        ("Agent", f"{'stopped?' if stale else 'runs'}, process {content['pid']}, as of {format_duration(age)} ago"),
        ("Server", f"{', '.join(content['servers'])} {server}"),
        ("Waiting", waiting),
        ("Sent", f"{content['sent_frames']:,} frames, {format_bytes(content['sent_bytes'])}"),
        ("Lost", f"{content['dropped_frames']:,} dropped, {content['rejected_frames']:,} rejected"),
        ("Last error", content["last_error"] or "none"),
        (
            "Own cost",
            f"{share:.3%} of a core since the start, {format_bytes(content['memory_bytes'])}",
        ),
    ]
    shown = [f"{label:12}{text}" for label, text in lines]
    for name, cost in costs:
        each = cost["cpu_seconds"] / max(1, cost["runs"]) * 1000
        notes = [f"{content['collector_errors'][name]} errors"] if name in content["collector_errors"] else []
        notes += ["hangs"] if cost["hanging"] else []
        shown.append(f"  {name:12}{each:6.2f} ms {' '.join(notes)}".rstrip())
    return shown
