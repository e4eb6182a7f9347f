"""Sentences with codes: their English, how they are stored, and that the dashboard has a translation of each."""

import ast
import json
import re

import pytest

from bongsu.alerts.alert import Event, Outcome, Stage
from bongsu.alerts.notes import Code, decode_notes, encode_notes, joined, note
from bongsu.alerts.rules import Severity
from tests.support.repository import REPOSITORY

ENGLISH = json.loads((REPOSITORY / "frontend/i18n/locales/en.json").read_text("utf-8"))


def calls() -> list[tuple[str, str, set[str]]]:
    """(place, name of the code, names of the parameters) of each ``note(Code.X, ...)`` in the source."""
    found = []
    for path in sorted((REPOSITORY / "src/bongsu").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "note":
                match node.args:
                    case [ast.Attribute(value=ast.Name(id="Code"), attr=name)]:
                        found.append((f"{path.name}:{node.lineno}", name, {word.arg or "**" for word in node.keywords}))
                    case _:
                        assert path.name == "notes.py", f"{path}:{node.lineno}: a code that nobody can check"
    return found


def test_the_source_gives_each_note_the_parameters_of_its_code() -> None:
    wrong = [(place, name) for place, name, parameters in calls() if parameters != Code[name].parameters]
    assert wrong == []


def test_every_code_is_used() -> None:
    assert set(Code.__members__) - {name for _, name, _ in calls()} == set()


def test_the_dashboard_has_a_translation_of_each_code_with_its_parameters_and_forms() -> None:
    texts = ENGLISH["notes"]
    assert set(texts) == {code.name.lower() for code in Code}
    for code in Code:
        text = texts[code.name.lower()]
        assert set(re.findall(r"\{(\w+)\}", text)) == code.parameters, code
        assert (" | " in text) == (" | " in code.value), code


def test_the_dashboard_has_a_translation_of_each_stage_and_outcome() -> None:
    texts = ENGLISH["alerts"]
    assert set(texts["stage"]) == set(Stage)
    assert set(texts["outcome"]) == {re.sub(r"\W+", "_", outcome) for outcome in Outcome}


def test_the_dashboard_has_a_translation_of_each_word_that_is_a_parameter() -> None:
    assert set(ENGLISH["events"]["severity"]) == set(Severity)
    assert set(ENGLISH["alerts"]["event"]) == set(Event)
    assert set(ENGLISH["silences"]["kind"]) == {"silence", "maintenance"}


def test_the_dashboard_names_and_explains_each_problem_of_bongsu_itself() -> None:
    documentation = (REPOSITORY / "docs/alerts.md").read_text("utf-8").partition("## Monitoring Bongsu itself")[2]
    codes = set(re.findall(r"^\| `(\w+)` \|", documentation.partition("## Channels")[0], re.MULTILINE))
    assert codes - ENGLISH["health"]["problem"].keys() == set()
    # While no API server runs, nobody can open the dashboard.
    assert codes - ENGLISH["notes"].keys() - ENGLISH["error"].keys() == {"api_silent"}


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        pytest.param("until_ms", 1_750_000_060_000, "2025-06-15T15:07:40Z", id="a time in UTC"),
        pytest.param("after_seconds", 5_400, "1h 30m", id="a duration"),
        pytest.param("free_bytes", 1536, "1.50 KiB", id="a size"),
        pytest.param("alert_id", 12_345, "12345", id="an id is not grouped"),
        pytest.param("status", 429, "429", id="a status"),
        pytest.param("limit", 20_000, "20,000", id="other numbers are grouped"),
        pytest.param("service", "webhook", "The webhook", id="a service"),
        pytest.param("service", "Telegram", "Telegram", id="a service with a name of its own"),
        pytest.param("comment", "{until_ms}", "{until_ms}", id="no text is a template"),
    ],
)
def test_how_values_are_written_in_english(parameter: str, value: str | float, text: str) -> None:
    code = next(code for code in Code if parameter in code.parameters)
    others: dict[str, str | float] = dict.fromkeys(code.parameters, 0)
    assert text in note(code, **(others | {parameter: value})).text


@pytest.mark.parametrize(("count", "text"), [(1, "after 1 attempt"), (12, "after 12 attempts")])
def test_the_count_decides_between_the_forms(count: int, text: str) -> None:
    assert note(Code.GAVE_UP, count=count).text == text


def test_notes_are_the_same_after_they_were_stored() -> None:
    notes = [note(Code.STILL_FIRES, after_seconds=14_400.0), note(Code.TO_CHANNEL, channel="수신")]
    assert decode_notes(json.loads(json.dumps(encode_notes(notes)))) == notes
    assert joined(notes) == "it still fires after 4h; to 수신"


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param([["to_channel", {"channel": "x"}], ["of_a_newer_version", {}]], id="an unknown code"),
        pytest.param([["to_channel", {"room": "x"}]], id="other parameters"),
    ],
)
def test_notes_that_this_version_does_not_know_are_left_out_altogether(stored: list[object]) -> None:
    assert decode_notes(stored) == []
