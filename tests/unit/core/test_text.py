"""Control characters in texts of others."""

import pytest

from bongsu.core.text import has_control, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("web-1\nAcknowledge: https://evil", r"web-1\nAcknowledge: https://evil", id="a line break"),
        pytest.param("a\r\0\x1b[31m\x7f", r"a\r\x00\x1b[31m\x7f", id="control characters of ASCII"),
        pytest.param("a\x85b\u2028c", r"a\x85b\u2028c", id="line breaks of Unicode"),
        pytest.param("\u202egpj.exe", r"\u202egpj.exe", id="another direction"),
    ],
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert has_control(text)
    assert visible(text) == shown
    assert not has_control(shown)


@pytest.mark.parametrize("text", ["", "web-1", "웹 서버 1", "/srv/ü b", "🔥", "a\\nb"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert not has_control(text)
    assert visible(text) == text
