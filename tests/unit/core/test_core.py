"""Buckets, units, series and samples."""

import hashlib
import math
import runpy
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bongsu.core.series
from bongsu.core.buckets import NICE_STEPS_MS, bucket_start, nice_step
from bongsu.core.errors import InvalidInput, NotFound
from bongsu.core.samples import pack, unpack
from bongsu.core.series import Kind, Layout, Series, family_of, layout_id
from bongsu.core.units import (
    format_bytes,
    format_duration,
    format_rate,
    format_value,
    parse_duration_ms,
    parse_size_bytes,
    unit_of_metric,
)


@pytest.mark.parametrize(
    ("offset_ms", "bucket"),
    [
        pytest.param(0, 0, id="on the boundary belongs to the bucket it starts"),
        pytest.param(59_999, 0, id="last millisecond"),
        pytest.param(60_000, 60_000, id="next boundary"),
        pytest.param(-1, -60_000, id="before the epoch floors, not truncates"),
    ],
)
def test_bucket_start(offset_ms: int, bucket: int) -> None:
    assert bucket_start(offset_ms, 60_000) == bucket


def test_a_bucket_needs_a_length() -> None:
    with pytest.raises(ValueError, match="positive"):
        bucket_start(1, 0)


@given(start=st.integers(0, 10**13), length=st.integers(1, 10**11), points=st.integers(2, 10_000))
def test_a_nice_step_never_makes_more_points_than_asked_for(start: int, length: int, points: int) -> None:
    step = nice_step(length, points)
    first, last = bucket_start(start, step), bucket_start(start + length - 1, step)
    assert (last - first) // step + 1 <= points
    assert step in NICE_STEPS_MS or step % NICE_STEPS_MS[-1] == 0


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("1.5m", 90_000),
        ("6h", 21_600_000),
        ("7d", 604_800_000),
        ("1y", 31_536_000_000),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "ten s", "5 parsecs", "1e3s"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="write it like 10s") as error:
        parse_duration_ms(text, field="step")
    assert error.value.field == "step"


@pytest.mark.parametrize("text", ["9" * 400 + "y", "9999999999y", "9007199254740994ms"])
def test_a_duration_that_no_number_holds_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is too large") as error:
        parse_duration_ms(text, field="step")
    assert (error.value.field, error.value.limit) == ("step", 2**53)


@pytest.mark.parametrize(("text", "size"), [("1024", 1024), ("512MB", 512 << 20), ("2 GiB", 2 << 30), ("1.5k", 1536)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1536, "1.50 KiB"),
        (25 * 2**30, "25.0 GiB"),
        (500 * 2**20, "500 MiB"),
    ],
)
def test_bytes_for_people(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.6, "1m"), (93_784, "1d 2h"), (3_600, "1h")])
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cpu_usage_ratio", 0.5, "50.0 %"),
        ("memory_used_bytes", 0, "0 B"),
        ("disk_await_seconds", 0.0042, "4.20 ms"),
        ("system_uptime_seconds", 93_784, "1d 2h"),
        ("network_speed_bits", 1e10, "10 Gbit/s"),
        ("cpu_frequency_hertz", 2.4e9, "2.40 GHz"),
        ("sensor_temperature_celsius", 51.25, "51.2 °C"),
        ("load_1m", 0.256, "0.26"),
        ("processes_running", 3, "3"),
        ("load_1m", math.nan, "-"),
        ("load_1m", math.inf, "inf"),
    ],
)
def test_values_are_shown_with_units(name: str, value: float, text: str) -> None:
    assert format_value(name, unit_of_metric(name), value) == text


def test_rates() -> None:
    assert format_rate("seconds", 0.25) == "25.0 %"
    assert format_rate("", 1234.5) == "1,234.5/s"
    assert format_rate("bytes", 2048) == "2.00 KiB/s"
    assert format_rate("bytes", math.nan) == "-"


def test_an_errors_docstring_is_its_message() -> None:
    assert str(NotFound()) == "There is no such thing."


def test_a_layout_id_follows_from_content_and_order() -> None:
    first, second = Series("a"), Series("b", (("x", "y"),), "bytes", Kind.COUNTER)
    assert layout_id((first, second)) == layout_id((Series("a"), Series("b", (("x", "y"),), "bytes", Kind.COUNTER)))
    different = {
        layout_id(series)
        for series in (
            (first, second),
            (second, first),
            (first,),
            (Series("a", (("b", "c"),)),),
            (Series("a", (("bc", ""),)),),
            (Series("a", (), "b"),),
            (Series("a", (), "", Kind.COUNTER),),
            (Series("ab"),),
            (first, first),
        )
    }
    assert len(different) == 9
    assert all(0 < one < 2**63 for one in different)
    # Stored by agents and databases: it must never change.
    assert layout_id((first,)) == LAYOUT_ID_OF_A


LAYOUT_ID_OF_A = 9084813382858189819


def test_a_layout_knows_where_a_series_stands() -> None:
    layout = Layout.of((Series("a"), Series("b")))
    assert layout.position[Series("b")] == 1


def test_series_read_like_prometheus() -> None:
    assert str(Series("filesystem_used_bytes", (("mountpoint", "/"),))) == 'filesystem_used_bytes{mountpoint="/"}'


@pytest.mark.parametrize(
    ("metric", "family"),
    [
        ("cpu_usage_ratio", "cpu"),
        ("load_1m", "cpu"),
        ("swap_used_bytes", "memory"),
        ("filesystem_used_bytes", "disk"),
        ("network_up", "network"),
        ("nginx_requests_total", "nginx"),
    ],
)
def test_families(metric: str, family: str) -> None:
    assert family_of(metric) == family


def test_values_are_packed_little_endian() -> None:
    assert pack([1.0]) == bytes.fromhex("000000000000f03f")
    assert list(unpack(pack([0.5, -math.inf]))) == [0.5, -math.inf]
    with pytest.raises(ValueError, match="bytes length not a multiple of item size"):
        unpack(b"1234567")


def test_series_leave_openssl_out_of_memory() -> None:
    program = "import sys, bongsu.core.series; sys.exit('_hashlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_python_without_the_small_hash_gives_the_same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    here = layout_id((Series("a"),))
    monkeypatch.setitem(sys.modules, "_blake2", None)
    other = runpy.run_path(bongsu.core.series.__file__, run_name="without_blake2")
    assert other["blake2b"] is hashlib.blake2b
    assert other["layout_id"]((Series("a"),)) == here


def test_errors_can_be_raised_without_docstrings() -> None:
    code = "from bongsu.core.errors import Unavailable; print(Unavailable(), Unavailable('Full.'))"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Unavailable Full.\n"
