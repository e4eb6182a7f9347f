"""Messages: texts in both languages, values with their units, links."""

import re

import pytest

from bongsu.alerts.message import format_value
from bongsu.alerts.texts import TEXTS
from tests.support.messages import a_message
from tests.support.repository import REPOSITORY


def test_both_languages_have_the_same_texts() -> None:
    assert TEXTS["en"].keys() == TEXTS["ko"].keys()
    places = {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in TEXTS["en"].items()}
    assert places == {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in TEXTS["ko"].items()}


def test_no_name_adds_a_line_to_a_message() -> None:
    plain = a_message("web-1\nAcknowledge: https://evil", count=2, description="").plain
    assert [line for line in plain.splitlines() if line.startswith("Acknowledge: https://")] == [
        "Acknowledge: https://monitor.example/api/alerts/acknowledge?token=t"
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.973, "ratio", "97.3 %"),
        (0.0012, "ratio", "0.12 %"),
        (1536.0, "bytes", "1.50 KiB"),
        (93_784.0, "seconds", "1d 2h"),
        (-60.0, "seconds", "-1m"),
        (0.25, "seconds", "0.25 s"),
        (16.0, "", "16"),
        (12_345_678.0, "", "12,345,678"),
        (None, "ratio", "-"),
    ],
)
def test_format_value(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_a_message_links_to_the_page_of_its_first_server() -> None:
    message = a_message(count=2)
    assert message.links == [
        ("open", "https://monitor.example/servers/1"),
        ("acknowledge", "https://monitor.example/api/alerts/acknowledge?token=t"),
    ]
    assert a_message(public_url="", acknowledge_url="").links == []


def test_each_problem_of_bongsu_itself_has_a_text() -> None:
    documentation = (
        (REPOSITORY / "docs/alerts.md")
        .read_text()
        .partition("## Monitoring Bongsu itself")[2]
        .partition("## Channels")[0]
    )
    codes = re.findall(r"^\| `(\w+)` \|", documentation, re.MULTILINE)
    assert len(codes) > 10
    for texts in TEXTS.values():
        assert [code for code in codes if f"problem_{code}" not in texts] == []
