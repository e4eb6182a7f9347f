"""What the agent costs: memory and CPU of the whole process, beside Debian's node_exporter, netdata and glances.

``python -m benchmarks.agent [--json] [--seconds 60] [--plain] [--soak]``

The agent runs as a service does (``bongsu agent run``, 10 s interval, all default collectors) and pushes over TLS to a
stub that responds like the API server. Once it has sent two frames, its CPU time is read from /proc before and after
``--seconds``. The same is measured at 1 s, for a shorter time. Those of the others that are installed run in the
meantime (``agent_peers.py``).

``--soak`` simulates a day of ticks with the real collectors and sender, as fast as possible, and reads the memory after
the first hour and at the end. Then it simulates a day of outage, and measures how long the replay takes.
"""

import argparse
import gzip
import http.server
import json
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.agent_peers import measured, running_peers
from bongsu.core.samples import PushResult
from bongsu.wire.protobuf import decode_push, encode_result


class StubServer:
    """Responds to POST /api/metrics like the API server. ``frames`` counts the received frames."""

    def __init__(self, certificate: Path | None, port: int = 0) -> None:
        stub = self
        self.frames = 0
        self.series = 0
        known: set[int] = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # one packet a response, or each waits 40 ms for an acknowledgement

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                push = decode_push(body)
                known.update(layout.id for layout in push.layouts)
                missing = [frame.layout_id for frame in push.frames if frame.layout_id not in known]
                stub.frames += 0 if missing else len(push.frames)
                stub.series = max(stub.series, *(len(frame.values) // 8 for frame in push.frames))
                result = PushResult(0 if missing else len(push.frames), unknown_layouts=missing)
                result.server_time_ms = time.time_ns() // 1_000_000
                body = encode_result(result)
                self.send_response(409 if missing else 200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def make_certificate(folder: Path) -> Path | None:
    """A certificate for 127.0.0.1 with its key, or None without openssl."""
    if not shutil.which("openssl"):
        return None
    path = folder / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return path


def start_agent(url: str, interval: str, folder: Path, certificate: Path | None) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BONGSU_")}
    environment |= {"BONGSU_AGENT_DATA_DIR": str(folder / f"data-{interval}")}
    if certificate:
        environment["BONGSU_AGENT_TLS_CA_FILE"] = str(folder / "certificate.pem")
    return subprocess.Popen(
        [sys.executable, "-m", "bongsu.agent", "run", "--server", url, "--interval", interval],
        env=environment,
        cwd=folder,
    )


def run_agent(interval: str, seconds: float, folder: Path, certificate: Path | None) -> dict[str, float]:
    server = StubServer(certificate)
    agent = start_agent(server.url, interval, folder, certificate)
    try:
        deadline = time.monotonic() + 60
        while server.frames < 2 and agent.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if server.frames < 2:
            raise SystemExit("the agent sends nothing")
        return measured(agent.pid, seconds) | {"series": server.series}
    finally:
        agent.terminate()
        agent.wait(10)
        server.close()


class FastClock:
    """A clock that is moved ahead instead of waiting."""

    def __init__(self) -> None:
        self.ahead = -86_400.0

    def now_ms(self) -> int:
        return round((time.time() + self.ahead) * 1000)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def soak_child(url: str, folder: str, away: str) -> None:
    """Runs a day of ticks. Prints the memory in bytes after an hour and at the end, then sends until standard input
    closes."""
    from bongsu.agent.config import Config
    from bongsu.agent.defaults import BUFFER_AGE_MS, BUFFER_BYTES, INTERVAL_MS
    from bongsu.agent.delivery.backlog import Backlog
    from bongsu.agent.delivery.sender import Sender
    from bongsu.agent.delivery.transport import Transport
    from bongsu.agent.identity import uuid4
    from bongsu.agent.log import Log
    from bongsu.agent.sampling.scheduler import Scheduler
    from bongsu.agent.stats import Stats, resident_bytes
    from bongsu.agent.wiring import make_collectors
    from bongsu.core.samples import AgentIdentity, HostFacts

    clock, log, stats = FastClock(), Log(level="error"), Stats()
    backlog = Backlog(folder, max_bytes=BUFFER_BYTES, max_age_ms=BUFFER_AGE_MS, clock=clock, log=log)
    sender = Sender(
        Transport([url]),
        backlog,
        identity=AgentIdentity(uuid4(), "soak", interval_ms=INTERVAL_MS),
        facts=HostFacts,
        stats=stats,
        log=log,
    )
    sender.start()

    class Ticks:
        def wait(self, seconds: float) -> bool:
            deadline = time.monotonic() + 60
            while not away and stats.queue_frames:
                if time.monotonic() > deadline:
                    raise SystemExit("the agent could not send its frames within a minute")
                time.sleep(0.0005)
            clock.ahead += seconds
            if stats.ticks in (360, 8640):
                print(resident_bytes(), flush=True)
            return stats.ticks >= 8640

    collectors = make_collectors(Config(), log.problem, stats)
    scheduler = Scheduler(
        collectors,
        interval_ms=INTERVAL_MS,
        sink=sender.put,
        log=log,
        stats=stats,
        clock=clock,
        boot_clock=clock.monotonic,
    )
    scheduler.run(Ticks())
    sys.stdin.read()
    sender.stop(2.0)


def run_soak(folder: Path) -> dict[str, float]:
    results: dict[str, float] = {}
    for name, away in (("soak", ""), ("replay", "away")):
        server = StubServer(None)
        if away:
            port = int(server.url.rpartition(":")[2])
            server.close()
        words = [sys.executable, "-m", "benchmarks.agent", "--soak-child", server.url, str(folder / name), away]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        hour, day = int(child.stdout.readline()), int(child.stdout.readline())
        if away:
            started = time.monotonic()
            server = StubServer(None, port)
            while server.frames < 8640 and child.poll() is None and time.monotonic() - started < 300:
                time.sleep(0.05)
            if server.frames < 8640:
                raise SystemExit(f"only {server.frames} frames were replayed until the agent ended, or in 300 s")
            results["replay_day_seconds"] = round(time.monotonic() - started, 1)
            results["replay_frames"] = server.frames
        else:
            results |= {"soak_rss_after_1h_mb": round(hour / 1e6, 2), "soak_rss_after_24h_mb": round(day / 1e6, 2)}
        child.communicate()
        server.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="What the agent costs.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure at 10 s")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--soak", action="store_true", help="a day of ticks and a day of outage as well, 2 minutes")
    parser.add_argument("--soak-child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.soak_child:
        soak_child(*options.soak_child)
        return
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = None if options.plain else make_certificate(folder)
        peers: dict[str, dict[str, float]] = {}
        with running_peers(folder) as pids, ThreadPoolExecutor(4) as threads:
            waiting = {name: threads.submit(measured, pid, options.seconds) for name, pid in pids.items()}
            ten = run_agent("10s", options.seconds, folder, certificate)
            for name, future in waiting.items():
                if (error := future.exception()) is None:
                    peers[name] = future.result()
                else:  # it costs only its own figures
                    print(f"{name} was not measured: {error}", file=sys.stderr)
        one = run_agent("1s", min(20.0, options.seconds), folder, certificate)
        soak = run_soak(folder) if options.soak else {}
    results |= {f"agent_10s_{key}": value for key, value in ten.items()}
    results |= {f"agent_1s_{key}": value for key, value in one.items()}
    for name, figures in peers.items():
        results |= {f"{name}_10s_{key}": value for key, value in figures.items()}
    results |= soak
    results["tls"] = float(certificate is not None)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if options.json:
        print(json.dumps({"name": "agent", "machine": machine, "results": results}))
        return
    print(f"Agent on {machine}, {'TLS' if certificate else 'plain HTTP'}, {ten['series']:.0f} series")
    for label, row in {"10 s": ten, "1 s": one, **{f"{name}, 10 s": row for name, row in peers.items()}}.items():
        memory = f"{row['rss_mb']:6.1f} MB, {row['pss_mb']:.1f} its own"
        print(f"  {label:20} {row['cpu_percent']:7.3f} % of a core   {memory}")
    if soak:
        hour, day = soak["soak_rss_after_1h_mb"], soak["soak_rss_after_24h_mb"]
        print(f"  24 h of ticks: {hour} MB after the first hour, {day} MB at the end")
        print(f"  a day of outage: {soak['replay_frames']:,} frames in {soak['replay_day_seconds']} s")


if __name__ == "__main__":
    main()
