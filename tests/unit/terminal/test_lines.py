"""Lines of styled text."""

import pytest

from bongsu.terminal.lines import SPARKS, bar, cells, cut, fit, padded, sparkline


@pytest.mark.parametrize(("ratio", "full"), [(0, 0), (0.5, 5), (1, 10), (7, 10), (-1, 0)])
def test_bars(ratio: float, full: int) -> None:
    (filled, _), (empty, _) = bar(ratio, 10)
    assert len(filled) == full
    assert len(filled) + len(empty) == 10


def test_sparklines() -> None:
    assert sparkline([0, 1], 4) == "  " + SPARKS[0] + SPARKS[-1]
    assert sparkline([1, 2, 3, 4], 2, highest=4) == SPARKS[5] + SPARKS[7]
    assert sparkline([0, 0], 2) == SPARKS[0] * 2
    assert sparkline([1], 0) == ""
    assert sparkline([-1, 1], 2) == SPARKS[0] + SPARKS[-1], "a value below 0 has no height"


@pytest.mark.parametrize(
    ("text", "width"),
    [
        pytest.param("web-1", 5, id="Latin"),
        pytest.param("웹서버", 6, id="Korean takes two columns each"),
        pytest.param("cafe\u0301", 4, id="a combining accent takes none"),
    ],
)
def test_columns_of_text(text: str, width: int) -> None:
    assert cells(text) == width
    assert cut(text, width) == text
    assert cells(padded(text, 10)) == 10


def test_a_wide_character_is_not_cut_in_half() -> None:
    assert cut("웹서버", 3) == "웹"
    assert padded("웹서버", 5) == "웹서…"
    assert padded("웹서버", 4) == "웹… "
    assert padded("web", 0) == ""


def test_a_line_is_cut_and_filled() -> None:
    assert fit([("ab", "x"), ("cd", "y")], 3) == [("ab", "x"), ("c", "y")]
    assert fit([("웹서", ""), ("x", "")], 3) == [("웹", "")], "nothing moves up to a half column"
    assert fit([("ab", "")], 4, fill=True) == [("ab", ""), ("  ", "")]
