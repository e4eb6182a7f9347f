"""The command ``bongsu`` itself."""

import re

import pytest

from bongsu.cli import COMMANDS, USAGE, main


def test_the_usage_lists_every_command() -> None:
    assert re.findall(r"^  ([a-z]+)  ", USAGE, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("words", [[], ["nonsense"]])
def test_what_is_no_command_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    output = capsys.readouterr()
    assert "usage: bongsu COMMAND" in output.out + output.err


def test_a_wrong_value_of_simulate_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--interval", "never"]) == 2
    assert capsys.readouterr().err.startswith("bongsu simulate: --interval: 'never' is not a duration")
