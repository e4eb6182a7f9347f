"""Messages: texts in every language, values with their units, links."""

import re

import pytest

from bongsu.alerts.alert import Event
from bongsu.alerts.channels.sms import parts_of, seven_bit, shorten
from bongsu.alerts.message import format_value
from bongsu.alerts.texts import TEXTS, Language
from bongsu.alerts.texts.numbers import localised
from tests.support.messages import a_message
from tests.support.repository import REPOSITORY


def places(text: str) -> list[str]:
    return sorted(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("language", TEXTS)
def test_every_language_has_the_texts_of_english(language: Language) -> None:
    texts = TEXTS[language]
    assert list(texts) == list(TEXTS["en"])
    assert {key: places(text) for key, text in texts.items()} == {
        key: places(text) for key, text in TEXTS["en"].items()
    }
    if language != "en":
        assert [text for key, text in texts.items() if len(text) > 12 and text == TEXTS["en"][key]] == []


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("language", TEXTS)
def test_a_message_is_built_in_every_language(language: Language, event: Event) -> None:
    message = a_message(language=language, event=event, count=12)
    assert "{" not in message.plain.replace('{core="web-1"}', "")
    # The API picks the value by its label.
    assert len({label for label, _ in message.facts}) == len(message.facts)
    assert parts_of(shorten(seven_bit(f"{message.title} {message.summary}"), message.acknowledge_url, 2)) <= 2


@pytest.mark.parametrize(
    ("text", "language", "localised_text"),
    [
        ("1d 2h", "en", "1d 2h"),
        ("1d 2h", "ko", "1일 2시간"),
        ("5m", "de", "5 Min."),
        ("5m", "zh-CN", "5分钟"),
        ("500ms", "fr", "500ms"),
        ("0.25 s", "ja", "0.25秒"),
        ("12,345,678", "de", "12.345.678"),
        ("97.3 %", "fr", "97,3 %"),
        ("1.50 KiB/s", "pt-BR", "1,50 KiB/s"),
    ],
)
def test_numbers_and_durations_by_language(text: str, language: Language, localised_text: str) -> None:
    assert localised(text, language) == localised_text


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


def test_containers_are_named_with_what_is_not_as_it_should_be() -> None:
    message = a_message("job")
    assert message.containers == [("job [exited (137), OOM x2]", "0 %", "1.00 MiB")]
    assert "Containers at " in message.plain
    assert message.plain.index("job [exited") < message.plain.index("Top processes at")
    assert [title.split(" at ")[0] for title, _ in message.culprits] == ["Containers", "Top processes"]
