"""``bongsu agent check``: configuration, permissions, and the way to the server; says what to do about what is
wrong."""

import os
import socket
import time
from collections.abc import Callable, Mapping

from bongsu import __version__
from bongsu.agent.commands.run import make_credentials
from bongsu.agent.config import Config, load
from bongsu.agent.delivery.http import Connection, Url, tls_context
from bongsu.agent.delivery.transport import PATH, explain, judge
from bongsu.agent.identity import load_identity, machine_mark
from bongsu.agent.sampling.runner import Job, Worker
from bongsu.agent.wiring import NAMES, close, collectors
from bongsu.core.errors import BongsuError
from bongsu.core.samples import AgentIdentity, Push
from bongsu.core.units import format_bytes
from bongsu.wire.encoder import CONTENT_TYPE, encode_push

SKEW_SECONDS = 60.0

Report = Callable[[bool, str], None]


def check(file: str, flags: Mapping[str, str]) -> int:
    """0 when all is well, 1 otherwise."""
    well = True

    def report(good: bool, message: str) -> None:
        nonlocal well
        well = well and good
        print(f"{'ok  ' if good else 'FAIL'}  {message}")

    try:
        config = load(NAMES, file=file, flags=flags)
    except BongsuError as error:
        report(False, f"configuration: {error}")
        return 1
    report(True, f"configuration: {config.file or 'no file, defaults and environment'}")
    _data_dir(config, report)
    _collectors(config, report)
    for server in config.servers:
        _server(config, server, report)
    return 0 if well else 1


def _data_dir(config: Config, report: Report) -> None:
    probe = os.path.join(config.data_dir, f"check.{os.getpid()}")
    try:
        os.makedirs(config.data_dir, mode=0o750, exist_ok=True)
        with open(probe, "wb") as file:
            file.write(b"x")
        os.unlink(probe)
    except OSError as error:
        report(False, f"data directory {config.data_dir}: {error.strerror}. Run as its owner, or set data_dir.")
        return
    free = _free_bytes(config.data_dir)
    if free is not None and free < config.buffer_bytes:
        report(
            False,
            f"data directory {config.data_dir}: {format_bytes(free)} free, less than the buffer may take "
            f"({format_bytes(config.buffer_bytes)}). Make room or set buffer.size.",
        )
        return
    report(True, f"data directory {config.data_dir}")


def _free_bytes(path: str) -> int | None:
    if not hasattr(os, "statvfs"):
        return None
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def _collectors(config: Config, report: Report) -> None:
    notes: list[str] = []

    def note(topic: str, problem: str) -> None:
        notes.append(problem)

    try:
        made = [collector for collector, _ in collectors(config, note, note)]
    except BongsuError as error:
        report(False, f"collectors: {error}")
        return
    worker = Worker()
    for result in worker.run([Job(collector, timeout_seconds=10.0) for collector in made]):
        name = result.job.collector.name
        if result.error:
            report(False, f"collector {name}: {result.error}")
        else:
            report(True, f"collector {name}: {len(result.readings)} values")
    worker.stop()
    for problem in notes:
        report(False, f"{problem}. Leave it out in the configuration if that is as it should be.")
    close(made)


def _server(config: Config, server: str, report: Report) -> None:
    url = Url.parse(server)
    near = Url.parse(config.proxy) if config.proxy else url
    try:
        socket.getaddrinfo(near.host, near.port)
    except OSError:
        report(False, f"{server}: the name {near.host} cannot be resolved. Is it spelled right? Does DNS work here?")
        return
    headers = {"Content-Type": CONTENT_TYPE, "User-Agent": f"bongsu-agent/{__version__}"}
    try:
        agent_id = load_identity(config.data_dir, machine_mark()).agent_id
        token = make_credentials(config, agent_id).token
    except BongsuError as error:
        report(False, f"token: {error}")
        return
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # no frames: nothing is stored, but address, TLS, token and version are tried
    name = config.name or socket.gethostname()
    body = encode_push(Push(AgentIdentity(agent_id, name, __version__, config.interval_ms, config.tags)))
    try:
        connection = Connection(
            url,
            timeout_seconds=config.timeout_ms / 1000,
            tls=tls_context(config.ca_file) if url.secure else None,
            proxy=Url.parse(config.proxy) if config.proxy else None,
            server_name=config.server_name,
        )
        answer = connection.post(url.path.rstrip("/") + PATH, headers, body)
        connection.close()
    except OSError as error:
        report(False, f"{server}: {explain(error)}. Is the server running, and is the way to port {url.port} open?")
        return
    outcome = judge(answer)
    if answer.status in (401, 403):
        report(False, f"{server}: refuses this agent: {outcome.reason}. Enrol it and set the token.")
    elif answer.status == 404:
        report(False, f"{server}: answers, but is no Bongsu server (404 for {PATH}).")
    elif answer.status >= 500:
        report(False, f"{server}: answers with an error: {outcome.reason}")
    else:
        report(True, f"{server}: answers")
    server_ms = outcome.result.server_time_ms
    skew = time.time() - server_ms / 1000
    if server_ms and abs(skew) > SKEW_SECONDS:
        report(False, f"clock: {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's. Is NTP running?")
