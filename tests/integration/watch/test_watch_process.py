"""``bongsu watch`` against an API server in a process of its own."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bongsu.wire import protobuf
from tests.support.processes import (
    ADMIN,
    PASSWORD,
    PATIENCE_SECONDS,
    api_server,
    enrolled,
    free_port,
    interruptible,
    logged_in,
    wait_for,
)
from tests.support.pushes import a_frame, a_push


class Watching:
    """A running ``bongsu watch``, and the lines it has written."""

    def __init__(self, *arguments: str, token: str = "") -> None:
        environment = {name: value for name, value in os.environ.items() if name != "BONGSU_TOKEN"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bongsu.cli", "watch", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | ({"BONGSU_TOKEN": token} if token else {}),
            preexec_fn=interruptible,
        )
        self.lines: list[str] = []
        self.notes: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.notes)),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Iterator[str], into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip("\n"))

    def status(self) -> int:
        """Waits for the end; the exit status."""
        status = self.process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join()
        return status

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.status()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextlib.contextmanager
def watching(*arguments: str, token: str = "") -> Iterator[Watching]:
    running = Watching(*arguments, token=token)
    try:
        yield running
    finally:
        running.end()


class Site:
    """An API server with the servers web-1 and web-2, and an API token that may look."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._agents = enrolled(url, "agent-web-1", "agent-web-2")
        with logged_in(url) as client:
            answer = client.post("/api/tokens", json={"name": "watch"})
            assert answer.is_success, answer.text
            self.token: str = answer.json()["token"]
            self.token_id: int = answer.json()["id"]

    def push(self, name: str = "web-1", cpu: float = 0.5) -> None:
        push = a_push([a_frame(time.time_ns() // 1_000_000, (cpu, 1536.0, 100.0))], name=name, interval_ms=1_000)
        answer = httpx.post(
            f"{self.url}/api/metrics",
            content=protobuf.encode_push(push),
            headers={"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {self._agents[f'agent-{name}']}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text

    def frames(self, running: Watching, more: int) -> None:
        """Pushes until so many more frames have come out."""
        wanted = len(running.lines) + more

        def enough() -> bool:
            assert running.process.poll() is None, running.notes
            self.push()
            return len(running.lines) >= wanted

        wait_for(enough, f"{more} frames; notes: {running.notes}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    with api_server(tmp_path_factory.mktemp("watch"), port):
        running = Site(f"http://127.0.0.1:{port}")
        running.push("web-1")
        running.push("web-2", cpu=0.25)
        yield running


def test_frames_come_out_as_lines_until_ctrl_c(site: Site) -> None:
    with watching("web-1", "--url", site.url, token=site.token) as running:
        site.frames(running, 3)
        words = running.lines[-1].split(" ")
        assert words[0].endswith("Z")
        assert words[1:3] == ["cpu_usage_ratio=50.0%", "memory_used_bytes=1.50KiB"]
        assert words[3].startswith('network_receive_bytes_total{interface="eth0"}=')
        running.process.send_signal(signal.SIGINT)
        assert running.status() == 0
        assert running.notes == []


def test_once_as_json(site: Site) -> None:
    site.push("web-2", cpu=0.25)
    with watching(
        "*-2", "--url", site.url, "--once", "--json", "--metric", "cpu_usage_ratio", token=site.token
    ) as running:
        assert running.status() == 0
        (line,) = running.lines
        frame = json.loads(line)
        assert frame["server"] == "web-2"
        (series,) = frame["series"]
        assert (series["metric"], series["unit"], series["value"], series["rate"]) == (
            "cpu_usage_ratio",
            "ratio",
            0.25,
            None,
        )


def test_for_some_time(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(site.token + "\n")
    with watching("web-1", "--url", site.url, "--for", "200ms", "--token-file", str(file)) as running:
        assert running.status() == 0
    with watching(
        "web-1", "--url", site.url, "--once", "--for", "200ms", "--metric", "no_such", token=site.token
    ) as running:
        assert running.status() == 1
        assert running.notes[0] == "web-1 sends none of these series at present."
        assert running.notes[-1] == "bongsu watch: No frame came in the time of --for."


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["mail"], 1, "There is no server 'mail'. There are:\n  1  web-1", id="unknown server"),
        pytest.param(["web"], 1, "2 servers fit 'web'; name one of them, or its id:\n  1  web-1", id="several servers"),
        pytest.param(["web-1", "--url", "garbage"], 2, "--url 'garbage' is no URL", id="garbage URL"),
        pytest.param(["web-1", "--interval", "5"], 2, "--interval: '5' has no unit", id="garbage interval"),
        pytest.param(
            ["web-1", "--token", "bongsu_api_wrong"], 1, "refuses the token: The token is not valid", id="wrong token"
        ),
        pytest.param(
            ["web-1", "--metric", "x" * 1_000], 1, "subscribe.metrics is longer than 512 bytes", id="long metric"
        ),
    ],
)
def test_wrong_arguments(site: Site, arguments: list[str], status: int, message: str) -> None:
    with watching("--url", site.url, *arguments, token=site.token) as running:
        assert running.status() == status
        assert running.lines == []
        assert message in "\n".join(running.notes)
        assert "Traceback" not in "\n".join(running.notes)


def test_nobody_to_ask_for_a_password(site: Site) -> None:
    with watching("web-1", "--url", site.url) as running:
        assert running.status() == 2
        assert "There is no token" in running.notes[0]


def test_a_person_logs_in_and_sees_a_screen_that_ctrl_c_takes_away(site: Site) -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        """So that Ctrl-C on this terminal reaches it."""
        interruptible()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    environment = {name: value for name, value in os.environ.items() if name not in ("BONGSU_TOKEN", "NO_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", "watch", "web-1", "--url", site.url],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        start_new_session=True,
        preexec_fn=take_terminal,
    ) as process:
        os.close(theirs)
        shown = bytearray()

        def read() -> None:
            with contextlib.suppress(OSError):  # EIO: the other end has closed it
                while chunk := os.read(ours, 65_536):
                    shown.extend(chunk)

        reader = threading.Thread(target=read)
        reader.start()

        def shows(*texts: str) -> bool:
            assert process.poll() is None, shown.decode()
            return all(text in shown.decode(errors="replace") for text in texts)

        def frame_is_shown() -> bool:
            site.push()
            return shows("\x1b[?1049h", "web-1", "last frame", "Ctrl-C exits")

        try:
            wait_for(lambda: shows("Email: "), "the question for the email address")
            os.write(ours, ADMIN.encode() + b"\n")
            wait_for(lambda: shows("Password: "), "the question for the password")
            os.write(ours, PASSWORD.encode() + b"\n")
            wait_for(frame_is_shown, "a frame on the screen")
            os.write(ours, b"\x03")
            assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()
            reader.join()
            os.close(ours)
        text = shown.decode(errors="replace")
        assert "\x1b[?1049l" in text, "the terminal is as before"
        assert "\x1b[?25h" in text, "and shows its cursor"
        assert PASSWORD not in text
        assert "Traceback" not in text


def test_nobody_listens() -> None:
    with watching("web-1", "--url", f"http://127.0.0.1:{free_port()}", token="t") as running:
        assert running.status() == 1
        assert "Connection refused" in running.notes[0]


def test_a_restart_of_the_api_server_is_survived_and_a_revoked_token_ends_it(tmp_path: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        with api_server(tmp_path, port) as process:
            site = Site(f"http://127.0.0.1:{port}")
            site.push()
            running = stack.enter_context(watching("web-1", "--url", site.url, "--json", token=site.token))
            site.frames(running, 2)
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            wait_for(lambda: running.notes, "the notice")
        with api_server(tmp_path, port):
            wait_for(lambda: "Connected again." in running.notes, "the next connection")
            site.frames(running, 2)
            times = [json.loads(line)["time_ms"] for line in running.lines]
            assert times == sorted(set(times)), "each frame once, in order"
            assert "Reconnecting in" in running.notes[0]
            with logged_in(site.url) as client:
                assert client.delete(f"/api/tokens/{site.token_id}").is_success
            assert running.status() == 1
            problem = "The API server refuses the token: The token is not valid any more."
            assert running.notes[-1] == f"bongsu watch: {problem}"
            assert not any(site.token in note for note in running.notes)
