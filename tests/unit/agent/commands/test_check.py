"""``bongsu agent check`` without a server."""

from pathlib import Path

from bongsu.agent.commands.check import check


def test_a_wrong_configuration_ends_the_check(tmp_path: Path, capsys) -> None:
    (tmp_path / "agent.yml").write_text("interval: soon\n")
    assert check(str(tmp_path / "agent.yml"), {}) == 1
    assert capsys.readouterr().out.startswith("FAIL  configuration: ")
