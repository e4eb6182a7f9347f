"""Layouts change as rarely as possible, and frames match them."""

import math

import pytest

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Reading
from bongsu.agent.sampling import assembly
from bongsu.agent.sampling.assembly import KEEP_TICKS, Assembler
from bongsu.core.samples import unpack
from bongsu.core.series import Kind
from tests.support.agent_fakes import fake_ps


class Declared(Collector):
    """Only declares metrics; the tests supply the readings."""

    def collect(self) -> list[Reading]:
        return []


class Disk(Declared):
    name = "disk"
    metrics = (Gauge("disk_used_bytes", "Used."), Counter("disk_reads_total", "Reads."))


class Load(Declared):
    name = "load"
    metrics = (Gauge("load_1m", "Load."),)


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def assembler(problems: list[str]) -> Assembler:
    assembler = Assembler(lambda topic, problem: problems.append(problem))
    assembler.declare(Load(fake_ps()))
    assembler.declare(Disk(fake_ps()))
    return assembler


def disk_used(device: str, value: object) -> Reading:
    return Reading("disk_used_bytes", value, (("device", device),))


def frame_values(assembler: Assembler, *readings: Reading) -> dict[str, float]:
    frame = assembler.frame(1000, readings)
    assert frame is not None
    assert assembler.layout is not None
    assert frame.layout_id == assembler.layout.id
    return dict(zip(map(str, assembler.layout.series), unpack(frame.values), strict=True))


def test_without_series_there_is_no_frame(assembler: Assembler) -> None:
    assert assembler.frame(1000, []) is None


def test_values_are_in_layout_order(assembler: Assembler) -> None:
    seen = frame_values(assembler, disk_used("b", 2), Reading("load_1m", 0.5), disk_used("a", 1))
    assert list(seen.items()) == [
        ("load_1m", 0.5),
        ('disk_used_bytes{device="a"}', 1),
        ('disk_used_bytes{device="b"}', 2),
    ]


def test_series_carry_unit_and_kind(assembler: Assembler) -> None:
    frame_values(assembler, disk_used("a", 1), Reading("disk_reads_total", 2))
    assert [(series.unit, series.kind) for series in assembler.layout.series] == [
        ("bytes", Kind.GAUGE),
        ("", Kind.COUNTER),
    ]


def test_the_order_of_readings_does_not_make_another_layout(problems: list[str]) -> None:
    ids = set()
    for order in ([disk_used("a", 1), disk_used("b", 2)], [disk_used("b", 2), disk_used("a", 1)]):
        again = Assembler(lambda topic, problem: None)
        again.declare(Disk(fake_ps()))
        frame_values(again, *order)
        ids.add(again.layout.id)
    assert len(ids) == 1


def test_a_new_series_makes_a_new_layout_at_once(assembler: Assembler) -> None:
    frame_values(assembler, disk_used("a", 1))
    first = assembler.layout.id
    seen = frame_values(assembler, disk_used("a", 1), disk_used("b", 2))
    assert assembler.layout.id != first
    assert seen['disk_used_bytes{device="b"}'] == 2


def test_a_missing_series_keeps_its_place_for_a_while(assembler: Assembler) -> None:
    frame_values(assembler, disk_used("a", 1), disk_used("b", 2))
    first = assembler.layout.id
    for _ in range(KEEP_TICKS - 2):
        seen = frame_values(assembler, disk_used("a", 1))
        assert math.isnan(seen['disk_used_bytes{device="b"}'])
    assert assembler.layout.id == first
    for _ in range(KEEP_TICKS + 2):
        seen = frame_values(assembler, disk_used("a", 1))
    assert list(seen) == ['disk_used_bytes{device="a"}']


def test_a_layout_without_series_makes_no_frames(assembler: Assembler) -> None:
    frame_values(assembler, disk_used("a", 1))
    frames = [assembler.frame(1000, []) for _ in range(2 * KEEP_TICKS)]
    assert frames[-1] is None


@pytest.mark.parametrize("value", ["many", None, pytest.param(object(), id="object"), 10**400, math.inf], ids=str)
def test_values_that_are_not_finite_numbers_are_not_sent(
    assembler: Assembler, problems: list[str], value: object
) -> None:
    frame_values(assembler, disk_used("a", 1), disk_used("b", 1))
    seen = frame_values(assembler, disk_used("a", value), disk_used("b", 7))
    assert not math.isfinite(seen['disk_used_bytes{device="a"}'])
    assert seen['disk_used_bytes{device="b"}'] == 7
    assert all("disk_used_bytes" in problem for problem in problems)


@pytest.mark.parametrize(
    ("reading", "problem"),
    [
        (Reading("nobody_knows", 1), "not declared"),
        (Reading("load_1m", 1, tuple((f"l{n:02}", "x") for n in range(17))), "17 labels; at most 16 are allowed"),
        (Reading("load_1m", 1, (("path", "é" * 129),)), "longer than 256 bytes"),
    ],
)
def test_series_that_the_server_would_reject_are_not_sent(assembler, problems, reading: Reading, problem: str) -> None:
    seen = frame_values(assembler, disk_used("a", 1), reading)
    assert list(seen) == ['disk_used_bytes{device="a"}']
    assert problem in problems[0]


def test_a_label_that_is_not_unicode_is_sent_with_replacements(assembler: Assembler) -> None:
    frame_values(assembler, disk_used("caf\udce9", 1))
    assert assembler.layout.series[0].labels == (("device", "caf?"),)


def test_a_label_with_control_characters_is_sent_with_escapes(assembler: Assembler) -> None:
    frame_values(assembler, disk_used("a\nb", 1))
    assert assembler.layout is not None
    assert [series.labels for series in assembler.layout.series] == [(("device", "a\\nb"),)]


@pytest.mark.parametrize("other", ["a\\nb", "a\nb"])
def test_labels_that_are_sent_alike_are_one_series(assembler: Assembler, other: str) -> None:
    for _ in range(2):
        assert list(frame_values(assembler, disk_used("a\nb", 1), disk_used(other, 2)).values()) == [2]


def test_a_layout_has_a_maximum_number_of_series(assembler, problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "MAX_SERIES", 3)
    seen = frame_values(assembler, *(disk_used(str(number), number) for number in range(5)))
    assert len(seen) == 3
    seen = frame_values(assembler, *(disk_used(str(number), number) for number in range(5)))
    assert len(seen) == 3
    assert "more than 3 series" in problems[0]
