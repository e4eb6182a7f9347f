"""``bongsu agent check`` against a server."""

from pathlib import Path

import pytest

from bongsu.agent.commands.check import check
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
