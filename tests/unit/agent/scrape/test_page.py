"""Pages of a target become values, and the values frames."""

import re
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.agent.scrape.page import OverLimitError, Page, PageRules
from bongsu.agent.scrape.table import KEEP_SCRAPES, SERIES_PER_LAYOUT, Table
from bongsu.agent.scrape.text_format import MAX_LINE_BYTES, Families, ParseError
from bongsu.agent.scrape_config import RelabelRule
from bongsu.core.errors import BongsuError
from bongsu.core.samples import ABSENT, NOT_A_NUMBER, STALE, unpack
from bongsu.core.series import Kind, Layout


class World:
    """A target whose pages a test writes."""

    def __init__(self, rules: PageRules | None = None) -> None:
        self.rules = rules or PageRules({"job": "j"}, sample_limit=10_000)
        self.table = Table(self.rules.sample_limit)
        self.families = Families()
        self.layouts: list[Layout] = []

    def page(self, text: str | bytes, *, piece: int = 65_536, open_metrics: bool = False) -> Page:
        page = Page(self.table, self.families, self.rules)
        data = text.encode() if isinstance(text, str) else text
        for start in range(0, len(data), piece):
            page.feed(data[start : start + piece])
        page.end(open_metrics=open_metrics)
        return page

    def scrape(self, text: str, **options: int) -> dict[str, int | float]:
        """Series -> value, or the bits of a NaN."""
        return self.frames(self.page(text, **options), complete=True)

    def fail(self) -> dict[str, int | float]:
        """A scrape without an answer."""
        return self.frames(Page(self.table, self.families, self.rules), complete=False)

    def frames(self, page: Page, *, complete: bool) -> dict[str, int | float]:
        found: dict[str, int | float] = {}
        frames = self.table.frames(page.found, 1_000, complete=complete)
        self.layouts = [layout for _, layout in frames]
        for frame, layout in frames:
            assert layout.id == frame.layout_id == Layout.of(layout.series).id
            values = unpack(frame.values)
            bits = array("q", frame.values)
            assert len(values) == len(layout.series) <= SERIES_PER_LAYOUT
            for series, value, pattern in zip(layout.series, values, bits, strict=True):
                text = str(series).replace('{job="j"}', "").replace(',job="j"', "").replace('job="j",', "")
                assert text not in found
                found[text] = value if value == value else pattern
        return found


PAGE = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 10
requests_total{code="500"} 1 1700000000000

# TYPE duration_seconds histogram
duration_seconds_bucket{le="0.5"} 3 # {trace_id="a b"} 0.3 1.5
duration_seconds_bucket{le="+Inf"} 4
duration_seconds_sum 1.5
duration_seconds_count 4
temperature NaN
"""


@pytest.mark.parametrize("piece", [1, 7, 65_536])
def test_a_page_that_is_known_gives_the_same_as_a_new_one(piece: int) -> None:
    world = World()
    expected = {
        'requests_total{code="200"}': 10,
        'requests_total{code="500"}': 1,
        'duration_seconds_bucket{le="0.5"}': 3,
        'duration_seconds_bucket{le="+Inf"}': 4,
        "duration_seconds_sum": 1.5,
        "duration_seconds_count": 4,
        "temperature": NOT_A_NUMBER,
    }
    for _ in range(3):
        page = world.page(PAGE, piece=piece)
        assert (page.samples, page.kept) == (7, 7)
        assert world.frames(page, complete=True) == expected
    kinds = {series.metric: (series.kind, series.unit) for series in world.layouts[0].series}
    assert kinds == {
        "requests_total": (Kind.COUNTER, ""),
        "duration_seconds_bucket": (Kind.COUNTER, ""),
        "duration_seconds_sum": (Kind.COUNTER, "seconds"),
        "duration_seconds_count": (Kind.COUNTER, ""),
        "temperature": (Kind.GAUGE, ""),
    }


def test_a_series_that_ends_is_stale_once_and_then_absent() -> None:
    world = World()
    assert world.scrape("a 1\nb 2\n") == {"a": 1, "b": 2}
    assert world.scrape("a 1\n") == {"a": 1, "b": STALE}
    assert world.scrape("a 1\n") == {"a": 1, "b": ABSENT}
    layout = world.layouts[0]
    assert world.scrape("a 1\nb 3\n") == {"a": 1, "b": 3}
    assert world.scrape("b 3\n") == {"a": STALE, "b": 3}
    assert world.layouts == [layout]


def test_a_series_that_is_gone_for_long_leaves_the_layout() -> None:
    world = World()
    world.scrape("a 1\nb 2\nc 3\n")
    for _ in range(2 * KEEP_SCRAPES):
        found = world.scrape("a 1\nc 3\n")
    assert found == {"a": 1, "c": 3}
    assert world.scrape("a 1\nb 2\nc 4\n") == {"a": 1, "b": 2, "c": 4}


def test_a_target_that_is_down_keeps_its_series() -> None:
    world = World()
    world.scrape("a 1\nb 2\n")
    assert world.fail() == {"a": STALE, "b": STALE}
    for _ in range(3 * KEEP_SCRAPES):
        assert world.fail() == {"a": ABSENT, "b": ABSENT}
    assert world.scrape("a 1\nb 2\n") == {"a": 1, "b": 2}


def test_new_series_change_only_the_last_layout() -> None:
    world = World()
    lines = [f"m{number} {number}\n" for number in range(1_200)]
    found = world.scrape("".join(lines))
    assert found == {f"m{number}": number for number in range(1_200)}
    first, second, third = world.layouts
    found = world.scrape("".join(["new 7\n", *reversed(lines)]))
    assert found == {f"m{number}": number for number in range(1_200)} | {"new": 7}
    assert world.layouts[:2] == [first, second]
    assert world.layouts[2] != third


def test_layouts_that_lose_most_of_their_series_are_joined() -> None:
    world = World()
    lines = [f"m{number} {number}\n" for number in range(5_000)]
    world.scrape("".join(lines))
    kept = lines[::20]
    for _ in range(2 * KEEP_SCRAPES):
        found = world.scrape("".join(kept))
    assert found == {f"m{number}": number for number in range(0, 5_000, 20)}
    assert len(world.layouts) == 1
    assert world.scrape("".join(kept)) == found


@given(st.lists(st.sets(st.integers(0, 1_500), max_size=1_200), min_size=1, max_size=8))
def test_whatever_comes_and_goes_the_newest_page_is_told(pages: list[set[int]]) -> None:
    world = World(PageRules({"job": "j"}, sample_limit=1_500))
    for turn, page in enumerate(pages):
        text = "".join(f'm{{n="{number}"}} {turn}\n' for number in sorted(page))
        for _ in range(1 if turn % 2 else KEEP_SCRAPES):
            found = world.scrape(text)
        values = {name: value for name, value in found.items() if value not in (ABSENT, STALE)}
        assert values == {f'm{{n="{number}"}}': turn for number in page}


def test_series_without_end_take_bounded_memory() -> None:
    world = World(PageRules({"job": "j"}, sample_limit=1_000))
    for turn in range(20):
        world.scrape("".join(f'm{{id="{turn}-{number}"}} 1\n' for number in range(1_000)))
    assert len(world.table.slots) <= 2_000
    assert len(world.table.heads) <= 4_000
    assert len(world.layouts) <= 2_000 / SERIES_PER_LAYOUT


def test_dropped_samples_without_end_take_bounded_memory() -> None:
    drop = RelabelRule("drop", re.compile("m"))
    world = World(PageRules({"job": "j"}, (drop,), sample_limit=1_000))
    for turn in range(10):
        page = world.page("a 1\n" + "".join(f'm{{id="{turn}-{number}"}} 1\n' for number in range(5_000)))
        assert (page.samples, page.kept) == (5_001, 1)
        assert world.frames(page, complete=True) == {"a": 1}
    assert len(world.table.heads) <= 4_000


def test_a_page_over_its_sample_limit_fails_and_changes_nothing() -> None:
    world = World(PageRules({"job": "j"}, sample_limit=100))
    text = "".join(f"m{number} 1\n" for number in range(100))
    world.scrape(text)
    with pytest.raises(OverLimitError, match=r"has 101 samples; its sample_limit is 100\."):
        world.page(text + "one 1\n")
    with pytest.raises(OverLimitError, match="more than 100 samples, its sample_limit"):
        world.page("".join(f"x{number} 1\n" for number in range(1_000_000)))
    assert len(world.table.slots) == 100
    assert len(world.scrape(text)) == 100


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"label_limit": 3}, "A sample of 'm' has 4 labels; the limit, label_limit, is 3."),
        ({"label_name_length_limit": 3}, "has 4 characters in the name of a label"),
        ({"label_value_length_limit": 4}, "has 5 bytes in the value of a label"),
    ],
)
def test_limits_on_labels(rules: dict[str, int], message: str) -> None:
    world = World(PageRules({"job": "j"}, sample_limit=10, **rules))
    with pytest.raises(OverLimitError, match=re.escape(message)):
        world.page('fine 1\nm{a="1",name="value"} 1\n')


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("m" * 129 + " 1", "longer than 128 characters"),
        ("m{" + ",".join(f'a{n}="1"' for n in range(16)) + "} 1", "m has 17 labels with those of its target"),
        ('m{a="' + "x" * 257 + '"} 1', "m: the label a is longer than 256 bytes"),
        ("m{" + "a" * 65 + '="1"} 1', "whose name is longer than 64 characters"),
        ("agent_info 1", "agent_info is a metric of the agent itself"),
    ],
)
def test_what_the_api_server_refuses_is_left_out_and_counted(line: str, problem: str) -> None:
    world = World(PageRules({"job": "j"}, sample_limit=10, own_metrics=frozenset(("agent_info",))))
    for _ in range(3):
        page = world.page(f"{line}\nok 1\n")
        assert (page.samples, page.kept, page.unsendable) == (2, 1, 1)
        assert problem in page.problem
        assert world.frames(page, complete=True) == {"ok": 1}


def test_control_characters_are_made_visible() -> None:
    assert world_of('m{a="x\\ny"} 1\n') == {'m{a="x\\ny"}': 1}


def world_of(text: str) -> dict[str, int | float]:
    return World().scrape(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"m 1\n\xff 2\n", "not UTF-8"),
        (b"m 1\nm abc\n", "is not a number"),
        (b"x" * (MAX_LINE_BYTES + 70_000), "A line is longer than 65,536 bytes."),
        (b"# TYPE m thing\n", "no type thing"),
    ],
)
def test_pages_that_cannot_be_read(text: bytes, message: str) -> None:
    world = World()
    world.scrape("m 1\n")
    with pytest.raises(ParseError, match=message):
        world.page(text)
    assert world.scrape("m 1\n") == {"m": 1}


def test_open_metrics_must_say_that_it_ends() -> None:
    world = World()
    assert world.page("m 1\n# EOF\n", open_metrics=True).kept == 1
    assert world.page("m 1\n# EOF", open_metrics=True).kept == 1
    for text in ("m 1\n", "m 1\n# EOF\nm 2\n", ""):
        with pytest.raises(ParseError, match="ends without # EOF"):
            world.page(text, open_metrics=True)


def test_a_page_goes_back_to_a_mark() -> None:
    world = World(PageRules({}, sample_limit=10))
    world.scrape("a 1\n")
    page = Page(world.table, world.families, world.rules)
    page.feed(b"b 2\n")
    mark = page.mark()
    page.feed(b"a 3\nc 3\nhalf a li")
    page.back_to(mark)
    page.feed(b"d 4\n")
    page.end()
    assert page.samples == 2
    assert world.frames(page, complete=True) == {"a": STALE, "b": 2, "d": 4}


@given(st.binary(max_size=300) | st.text(alphabet='mx{}=",\\ #\n1.eNaTYPE', max_size=300).map(str.encode))
def test_garbage_raises_nothing_but_errors_of_bongsu(data: bytes) -> None:
    world = World()
    world.scrape("m 1\nx 2\n")
    try:
        page = world.page(data)
    except BongsuError:
        return
    world.frames(page, complete=True)
