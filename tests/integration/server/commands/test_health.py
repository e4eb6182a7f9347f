"""``bongsu health``, against a real API server."""

from pathlib import Path

import pytest

from bongsu.cli import main
from tests.support.processes import api_server, free_port


def test_it_tells_whether_the_api_server_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("BONGSU_PORT", str(port))
    assert main(["health"]) == 1
    assert capsys.readouterr().out == f"http://127.0.0.1:{port}: no answer\n"
    with api_server(tmp_path, port):
        assert main(["health"]) == 0
        assert main(["health", f"http://localhost:{port}/"]) == 0
        assert main(["health", f"https://127.0.0.1:{port}"]) == 1
    assert f"http://localhost:{port}: " in capsys.readouterr().out
