"""``bongsu agent check``: tests the configuration, permissions and the connection to the server, and says how to fix
problems."""

import os
import socket
import time
from collections.abc import Callable, Mapping

from bongsu import __version__
from bongsu.agent.commands.once import COLLECTOR_TIMEOUT_SECONDS
from bongsu.agent.config import Config, load
from bongsu.agent.data_dir import make_data_dir
from bongsu.agent.http import Url
from bongsu.agent.identity import load_identity, machine_id
from bongsu.agent.sampling.runner import CollectorRunner, RunningCollector
from bongsu.agent.wiring import make_collectors, make_connection, make_credentials, make_identity, make_targets
from bongsu.core.errors import BongsuError
from bongsu.core.samples import Push
from bongsu.core.text import visible
from bongsu.core.units import format_bytes
from bongsu.wire.encoder import CONTENT_TYPE, METRICS_PATH, encode_push
from bongsu.wire.outcome import MAX_CLOCK_SKEW_MS, Verdict, explain, outcome_of

# Called with (passed, message).
Report = Callable[[bool, str], None]


def check(file: str, flags: Mapping[str, str]) -> int:
    """0 if every check passed, else 1."""
    all_passed = True

    def report(passed: bool, message: str) -> None:
        nonlocal all_passed
        all_passed = all_passed and passed
        print(f"{'ok  ' if passed else 'FAIL'}  {message}")

    try:
        config = load(file=file, flags=flags)
    except BongsuError as error:
        report(False, f"configuration: {error}")
        return 1
    report(True, f"configuration: {config.file or 'no file, only defaults and environment'}")
    _check_data_dir(config, report)
    _check_collectors(config, report)
    _check_targets(config, report)
    for server in config.servers:
        _check_server(config, server, report)
    return 0 if all_passed else 1


def _check_data_dir(config: Config, report: Report) -> None:
    test_file = os.path.join(config.data_dir, f"check.{os.getpid()}")
    try:
        make_data_dir(config.data_dir)
        with open(test_file, "wb") as file:
            file.write(b"x")
        os.unlink(test_file)
    except OSError as error:
        report(False, f"data directory {config.data_dir}: {error.strerror}. Run as its owner, or set data_dir.")
        return
    free = _free_bytes(config.data_dir)
    if free is not None and free < config.buffer_bytes:
        report(
            False,
            f"data directory {config.data_dir}: {format_bytes(free)} are free, but the buffer may take "
            f"{format_bytes(config.buffer_bytes)}. Free some space, or set buffer.size.",
        )
        return
    report(True, f"data directory {config.data_dir}")


def _free_bytes(path: str) -> int | None:
    if not hasattr(os, "statvfs"):
        return None
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def _check_collectors(config: Config, report: Report) -> None:
    problems: list[str] = []

    def report_problem(topic: str, problem: str) -> None:
        problems.append(problem)

    try:
        collectors = [collector for collector, _ in make_collectors(config, report_problem)]
    except BongsuError as error:
        report(False, f"collectors: {error}")
        return
    runner = CollectorRunner()
    for result in runner.run([RunningCollector(collector, COLLECTOR_TIMEOUT_SECONDS) for collector in collectors]):
        if result.error:
            report(False, f"collector {result.running.name}: {result.error}")
        else:
            note = result.running.collector.note
            report(True, f"collector {result.running.name}: {len(result.readings)} values{note and f'; {note}'}")
    runner.stop()
    for problem in problems:
        report(False, f"{problem}. If this is expected, exclude it in the configuration.")
    for collector in collectors:
        collector.close()


def _check_targets(config: Config, report: Report) -> None:
    for target in make_targets(config):
        target.scrape(0)
        target.close()
        stats = target.stats
        if stats.last_error:
            report(False, f"target {target.name}: {stats.last_error}")
            continue
        report(
            True,
            f"target {target.name}: {stats.samples:,} samples in {stats.seconds * 1000:.0f} ms, {stats.kept:,} kept",
        )
        if stats.unsendable:
            report(
                False,
                f"target {target.name}: {stats.dropped_samples:,} samples cannot be sent: {stats.unsendable}. "
                "If they are not needed, drop them, or the label, with relabel.",
            )


def _check_server(config: Config, server: str, report: Report) -> None:
    url = Url.parse(server)
    first_hop = Url.parse(config.proxy) if config.proxy else url
    try:
        socket.getaddrinfo(first_hop.host, first_hop.port)
    except OSError:
        report(False, f"{server}: the host name {first_hop.host} cannot be resolved. Is it correct? Does DNS work?")
        return
    headers = {"Content-Type": CONTENT_TYPE, "User-Agent": f"bongsu-agent/{__version__}"}
    try:
        agent_id = load_identity(config.data_dir, machine_id()).agent_id
        token = make_credentials(config, agent_id).token
    except BongsuError as error:
        report(False, f"token: {error}")
        return
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # a push without frames tests URL, TLS, token and version, and stores nothing
    body = encode_push(Push(make_identity(config, agent_id, visible(socket.gethostname()))))
    try:
        connection = make_connection(config, url)
        response = connection.post(url.path.rstrip("/") + METRICS_PATH, headers, body)
        connection.close()
    except (OSError, UnicodeError) as error:
        report(False, f"{server}: {explain(error)}. Is the server running? Does a firewall block port {url.port}?")
        return
    outcome = outcome_of(response, frames=0)
    if response.status in (401, 403):
        report(False, f"{server}: refuses this agent: {outcome.reason}. Run 'bongsu agent enrol', or set the token.")
    elif response.status == 404:
        report(False, f"{server}: answers, but is not a Bongsu server (404 for {METRICS_PATH}).")
    elif response.status >= 500:
        report(False, f"{server}: answers with an error: {outcome.reason}")
    elif outcome.verdict is Verdict.STORED:
        report(True, f"{server}: answers")
    else:
        report(False, f"{server}: {outcome.reason}")
    server_ms = outcome.result.server_time_ms
    skew_seconds = time.time() - server_ms / 1000
    if server_ms and abs(skew_seconds) * 1000 > MAX_CLOCK_SKEW_MS:
        direction = "ahead of" if skew_seconds > 0 else "behind"
        report(False, f"clock: {abs(skew_seconds):.0f} s {direction} the server's. Is NTP running?")
