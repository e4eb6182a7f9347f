"""Which layouts foreign series stand in, and how frames are made of parts."""

import numpy as np
import pytest

from bongsu.arrays import ABSENT
from bongsu.core.series import Series, series_number
from bongsu.server.storage.assembly import Samples, assemble, merged
from bongsu.server.storage.foreign import Part
from bongsu.server.storage.places import LEAST_SERIES, MOST_SERIES, Newcomer, Places, give_places

NOW = 1_750_000_000_000


def a_series(name: str, job: str = "node", instance: str = "web-1") -> Series:
    return Series(name, (("instance", instance), ("job", job)))


def newcomers(*series: Series, at: int = NOW) -> dict[int, Newcomer]:
    return {series_number(each.metric, each.labels): Newcomer(each, frozenset({at})) for each in series}


def with_new(places: Places, new: dict[int, Newcomer], times: dict[int, set[int]] | None = None) -> Places:
    return places.with_new(give_places(places, new, times or {}))


def layout_of(places: Places, series: Series) -> int:
    found = int(places.find(np.array([series_number(series.metric, series.labels)]))[0])
    layout = places.layouts[places.slots[found]]
    assert layout.series[places.positions[found]] == series
    return layout.id


def test_series_of_one_target_share_a_layout_and_those_of_others_do_not() -> None:
    a, b, other = a_series("a"), a_series("b"), a_series("a", job="mysql")
    places = with_new(Places(), newcomers(a, b, other))
    assert layout_of(places, a) == layout_of(places, b) != layout_of(places, other)


def test_a_series_that_comes_later_at_the_same_time_joins() -> None:
    a, late = a_series("a"), a_series("late")
    places = with_new(Places(), newcomers(a))
    joined = with_new(places, newcomers(late, at=NOW + 1), {layout_of(places, a): {NOW + 1}})
    assert layout_of(joined, late) == layout_of(joined, a) == layout_of(places, a)
    assert len(joined.layouts[0].series) == len(places.layouts[0].series) == LEAST_SERIES, "frames keep their length"


def test_a_series_that_comes_at_times_of_its_own_does_not_join() -> None:
    a, late = a_series("a"), a_series("late")
    places = with_new(Places(), newcomers(a))
    apart = with_new(places, newcomers(late, at=NOW + 1), {layout_of(places, a): {NOW}})
    assert layout_of(apart, late) != layout_of(apart, a)


def test_a_large_target_has_several_layouts() -> None:
    series = [a_series(f"m{index}") for index in range(2 * MOST_SERIES + 1)]
    places = with_new(Places(), newcomers(*series))
    assert sorted(len(layout.named) for layout in places.layouts) == [1, MOST_SERIES, MOST_SERIES]


def test_short_series_that_come_one_by_one_fill_few_layouts() -> None:
    places, times = Places(), {}
    for index in range(5_000):
        places = with_new(places, newcomers(a_series(f"pod{index}"), at=NOW + index), times)
        times = {layout.id: {NOW + index + 1} for layout in places.layouts}
    assert len(places.numbers) == 5_000
    assert len(places.layouts) <= 5_000 / MOST_SERIES + 8


def a_part(time_ms: int, values: dict[Series, float], digest: int = 1) -> Part:
    numbers = np.array([series_number(series.metric, series.labels) for series in values], "<i8")
    return Part(1, time_ms, digest, NOW, numbers.tobytes(), np.array([*values.values()], "<f8").tobytes())


def definitions(*series: Series) -> dict[int, Series]:
    return {series_number(each.metric, each.labels): each for each in series}


def test_the_parts_of_one_time_become_one_row() -> None:
    a, b = a_series("a"), a_series("b")
    parts = [a_part(NOW, {a: 1.0}), a_part(NOW, {b: 2.0}, digest=2), a_part(NOW + 1, {a: 3.0})]
    result = assemble(Samples.of(parts), Places(), definitions(a, b))
    rows = result.rows[layout_of(result.places, a)]
    assert rows.times.tolist() == [NOW, NOW + 1]
    position = {series: index for index, series in enumerate(result.places.layouts[0].series)}
    values = rows.bits.view(np.float64)
    assert values[:, position[a]].tolist() == [1.0, 3.0]
    assert rows.bits[:, position[b]].tolist() == [np.array([2.0]).view(np.int64)[0], ABSENT]
    assert result.differing == 0


def test_of_two_values_of_one_series_and_time_the_first_stays() -> None:
    a = a_series("a")
    result = assemble(Samples.of([a_part(NOW, {a: 1.0}), a_part(NOW, {a: 2.0}, 2)]), Places(), definitions(a))
    assert result.rows[layout_of(result.places, a)].bits.view(np.float64)[0, 0] == 1.0
    assert result.differing == 1


def test_series_that_no_longer_come_together_part() -> None:
    series = [a_series(f"m{index}") for index in range(40)]
    places = with_new(Places(), newcomers(*series))
    parts = [a_part(NOW + 1 + index, {each: 1.0}) for index, each in enumerate(series)]
    result = assemble(Samples.of(parts), places, {})
    layouts = {layout_of(result.places, each) for each in series}
    assert len(layouts) == len(series)
    assert not layouts & {layout.id for layout in places.layouts}
    cells = sum(rows.bits.size for rows in result.rows.values())
    assert cells <= 2 * LEAST_SERIES * len(series), "not 40 frames of 64 values"


@pytest.mark.parametrize(
    ("stored", "new", "both", "differing"),
    [
        pytest.param([1, ABSENT], [ABSENT, 2], [1, 2], 0, id="each has one"),
        pytest.param([1, ABSENT], [1, 2], [1, 2], 0, id="the same again"),
        pytest.param([1, 2], [3, ABSENT], [1, 2], 1, id="another value"),
    ],
)
def test_what_is_stored_stays(stored: list[int], new: list[int], both: list[int], differing: int) -> None:
    result, count = merged(np.array(stored), np.array(new))
    assert (result.tolist(), count) == (both, differing)
