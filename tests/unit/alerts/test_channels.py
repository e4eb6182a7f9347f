"""Channels without their services: documentation, length of an SMS, HTML of a mail."""

import re

import pytest

from bongsu.alerts.channels import CHANNELS
from bongsu.alerts.channels.email import render_html
from bongsu.alerts.channels.sms import parts_of, seven_bit, shorten
from tests.support.messages import EVIL, a_message
from tests.support.repository import REPOSITORY

DOCS = REPOSITORY / "docs/alerts.md"


def test_every_channel_and_setting_is_documented() -> None:
    section = DOCS.read_text().partition("\n## Channels\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", section, re.MULTILINE) == list(CHANNELS)
    for name, channel in CHANNELS.items():
        part = section.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == list(channel.Config.model_fields)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("a" * 160, 1, id="160 of the seven-bit alphabet"),
        pytest.param("a" * 161, 2, id="161: two parts of 153"),
        pytest.param("a" * 306, 2, id="306"),
        pytest.param("a" * 307, 3, id="307"),
        pytest.param("가" * 70, 1, id="70 of UCS-2"),
        pytest.param("가" * 71, 2, id="71: two parts of 67"),
        pytest.param("a" * 134 + "가", 3, id="one Hangul syllable makes all of it UCS-2"),
        pytest.param("€" * 80, 1, id="the euro sign takes two of 160"),
        pytest.param("€" * 81, 2, id="162 places"),
        pytest.param("😀" * 35, 1, id="an emoji takes two of 70"),
    ],
)
def test_parts_of_an_sms(text: str, parts: int) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Último valor: 97,3 %, por encima del umbral", "Ultimo valor: 97,3 %, por encima del umbral"),
        ("Dernière valeur\u00a0: 97,3 %", "Dernière valeur : 97,3 %"),
        ("서버 café", "서버 café"),
    ],
)
def test_an_sms_leaves_out_accents_only_if_the_seven_bit_alphabet_then_suffices(text: str, sent: str) -> None:
    assert seven_bit(text) == sent


@pytest.mark.parametrize("text", ["a" * 1000, "가" * 1000, "short"])
@pytest.mark.parametrize("parts", [1, 2, 6])
def test_an_sms_keeps_its_link(text: str, parts: int) -> None:
    link = "https://m.example/a/1"
    shortened = shorten(text, link, parts)
    assert parts_of(shortened) <= parts
    assert shortened.endswith(link)


def test_a_name_is_never_a_template_in_a_mail() -> None:
    html = render_html(a_message(EVIL), "c")
    assert "{{7*7}}" in html
    assert "49" not in re.sub(r"20\d\d-\d\d-\d\d [\d:]+", "", html)
    assert "<b onload" not in html
    assert "&lt;b onload=x&gt;" in html
