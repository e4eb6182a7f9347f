"""``bongsu agent check`` against a server."""

import socket
from pathlib import Path

import pytest

from bongsu.agent.commands.check import check
from tests.support.agent_fakes import RawServer, read_request
from tests.support.stub_api_server import ApiServer


def test_every_check_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = ApiServer()
    try:
        (tmp_path / "agent.yml").write_text("buffer: {size: 1MB}\n")
        flags = {"data_dir": str(tmp_path / "data"), "server": api.url}
        assert check(str(tmp_path / "agent.yml"), flags) == 0, capsys.readouterr().out
    finally:
        api.close()
    assert f"ok    {api.url}: answers" in capsys.readouterr().out
    assert api.times() == []


def test_targets_are_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = b"m 1\nn 2\n" + b"x" * 200 + b" 1\n"

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)

    api, target = ApiServer(), RawServer(answer)
    (tmp_path / "fine.prom").write_text("fine 1\n")
    (tmp_path / "agent.yml").write_text(
        f"scrape:\n- {{url: 'http://127.0.0.1:{target.port}', job: a}}\n- {{url: 'http://127.0.0.1:1', job: b}}\n"
        f"textfiles: [{tmp_path}]\nbuffer: {{size: 1MB}}\n"
    )
    try:
        assert check(str(tmp_path / "agent.yml"), {"data_dir": str(tmp_path / "data"), "server": api.url}) == 1
    finally:
        api.close()
        target.close()
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith(f"ok    target a 127.0.0.1:{target.port}: 3 samples in ") and line.endswith(", 2 kept")
        for line in lines
    ), lines
    assert any(f"target a 127.0.0.1:{target.port}: 1 samples cannot be sent: the name xxx" in line for line in lines)
    assert "FAIL  target b 127.0.0.1:1: Connection refused." in lines
    assert any(line.startswith("ok    target textfiles: 1 samples in ") for line in lines)


@pytest.mark.parametrize(
    ("status_code", "message"),
    [
        (
            401,
            "refuses this agent: HTTP status 401, but not from a Bongsu API server. Run 'bongsu agent enrol', or set the token.",
        ),
        (404, "answers, but is not a Bongsu server"),
        (500, "answers with an error: HTTP status 500"),
    ],
)
def test_a_failed_check_says_what_to_do(tmp_path: Path, capsys, status_code: int, message: str) -> None:
    api = ApiServer()
    api.answers.append((status_code, {}, b""))
    try:
        assert check("", {"data_dir": str(tmp_path), "server": api.url}) == 1
    finally:
        api.close()
    assert f"FAIL  {api.url}: {message}" in capsys.readouterr().out
