"""``bongsu up`` as a person uses it: real processes, a real database, a real agent."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.support.processes import answers, bongsu, free_port, logged_in, wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX")


def children_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """Output up to and with the line that holds ``text``."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"{text!r} never came:\n{''.join(lines)}")


def gone(processes: list[psutil.Process]) -> bool:
    return not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_up_shows_this_machine_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    up = bongsu("up", "--port", str(port), "--data-dir", str(tmp_path / "data"), "--interval", "1s")
    with contextlib.ExitStack() as stack, up as process:
        greeting = read_until(process, "Ctrl-C stops it.")
        assert url in greeting
        assert str(tmp_path / "data") in greeting
        client = stack.enter_context(logged_in(url))

        def points() -> list[float]:
            answer = client.get("/api/metrics/history", params={"metric": "memory_used_bytes"}).json()
            return answer["series"][0]["values"] if answer["series"] else []

        wait_for(lambda: len(points()) >= 3, "three samples of this machine's memory")
        total = psutil.virtual_memory().total
        assert all(0 < value < total for value in points())
        (server,) = client.get("/api/servers").json()["servers"]
        assert server["host"]["memory_total_bytes"] == total
        assert server["host"]["cpu_count"] == psutil.cpu_count()
        children = children_of(process)
        assert len(children) == 3
        data = tmp_path / "data"
        files = [data, *(file for file in data.iterdir() if file.is_file())]
        assert {"bongsu.db", "bongsu.db-wal", "secret.key"} <= {file.name for file in files}
        assert [file.name for file in files if file.stat().st_mode & 0o077] == [], "others can read them"

        def listed() -> list[dict[str, int]]:
            return client.get("/api/servers/1/processes", params={"sort": "memory"}).json()["processes"]

        wait_for(listed, "what holds this machine's memory")
        assert all(0 < one["memory_bytes"] < total for one in listed()[:3])
        process.send_signal(signal.SIGINT)
        output = process.communicate()[0]
        assert process.returncode == 0
        assert output.strip().endswith("Bongsu stopped.")
        assert "Traceback" not in output
        assert gone(children)


def test_the_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    port = free_port()
    with bongsu("up", "--port", str(port), "--data-dir", str(tmp_path)) as process:
        read_until(process, "Ctrl-C stops it.")
        wait_for(lambda: len(children_of(process)) == 3, "API server, worker and agent")
        children = children_of(process)
        process.kill()
        wait_for(lambda: gone(children), "the children to end")


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with bongsu("up", "--port", str(port), "--data-dir", str(tmp_path), "--interval", "1s") as process:
        read_until(process, "Ctrl-C stops it.")
        server = next(child for child in children_of(process) if child.name() == "bongsu api")
        server.kill()
        read_until(process, "API server ended with signal SIGKILL; restarting it in 1 s")
        wait_for(lambda: answers(url), "the API server to be back")
        frames = "frames_total"
        with logged_in(url) as client:
            wait_for(lambda: client.get("/api/health").json()["ingest"][frames] > 0, "the agent to find it again")


def test_a_taken_port_is_said_in_one_line_that_names_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with bongsu("up", "--port", str(port), "--data-dir", str(tmp_path)) as process:
            output = process.communicate()[0]
    assert process.returncode == 2
    assert output.count("\n") == 1
    assert f"Port {port} on 127.0.0.1 is taken by " in output
    assert f"--port {port + 1}" in output
    assert str(os.getpid()) in output


def test_bad_settings_are_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "server.yml"
    file.write_text("prot: 8600\n")
    for arguments, text in (
        (["--config", str(file)], "there is no setting prot"),
        (["--config", str(tmp_path / "none.yml")], "none.yml"),
        (["--port", "99999"], "port: "),
        (["--data-dir", "/proc/nothing"], "/proc/nothing"),
    ):
        with bongsu("up", *arguments) as process:
            output = process.communicate()[0]
        assert process.returncode == 2, output
        assert text in output
        assert "Traceback" not in output


def test_the_server_alone_runs_both_roles(tmp_path: Path) -> None:
    port = free_port()
    with bongsu("server", "--port", str(port), "--data-dir", str(tmp_path)) as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
        wait_for(lambda: len(children_of(process)) == 2, "API server and worker")
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        assert process.returncode == 0
