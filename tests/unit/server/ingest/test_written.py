"""Remote write requests become arrays: by the quick way for series that are known, with the same result for all others."""

import contextlib
import struct
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.arrays import STALE
from bongsu.core.errors import InvalidInput, TooLarge, UnsupportedEncoding
from bongsu.core.series import Kind
from bongsu.server.ingest.keys import Keys
from bongsu.server.ingest.written import Written, read
from bongsu.wire import remote_write
from bongsu.wire import remote_write_pb2 as pb
from tests.support.remote_write import request_1, request_2, series, snappy

NOW = 1_750_000_000_000
LIMIT = 1_000_000

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
labels = st.dictionaries(st.sampled_from(["__name__", "job", "instance", "a", "b"]), texts, min_size=1)
bits = st.one_of(st.sampled_from([0, 1 << 63, STALE, 0x7FF8000000000001]), st.integers(0, 2**64 - 1))
times = st.one_of(st.integers(NOW - 10**9, NOW + 10**9), st.integers(-(2**63), 2**63 - 1))
samples = st.lists(st.tuples(labels, st.lists(st.tuples(times, bits), min_size=1, max_size=2)), max_size=8)


def double(of_bits: int) -> float:
    value: float = struct.unpack("<d", of_bits.to_bytes(8, "little"))[0]
    return value


def known(keys: Iterable[bytes]) -> Keys:
    result = Keys()
    for key in keys:
        result.add(key)
    return result


def rows(written: Written, order: Iterable[bytes] = ()) -> list[tuple[dict[str, str], int, int]]:
    """What was read; ``order``: in which the keys became known."""
    by_place = list(dict.fromkeys(order))
    keys = written.keys if written.places is None else [by_place[place] for place in written.places.tolist()]
    found = zip(keys, written.times.tolist(), written.values.view(np.uint64).tolist(), strict=True)
    return sorted((sorted(remote_write.labels_of(key)), time_ms, of_bits) for key, time_ms, of_bits in found)


@given(samples, st.data())
def test_every_sample_is_read_bit_for_bit_whether_its_series_is_known_or_not(sent: list, data: st.DataObject) -> None:
    encoded = [series(by_name, *((time_ms, double(of_bits)) for time_ms, of_bits in pairs)) for by_name, pairs in sent]
    body = pb.WriteRequest(timeseries=encoded).SerializeToString()
    expected = sorted(
        (sorted(by_name.items()), time_ms, of_bits) for by_name, pairs in sent for time_ms, of_bits in pairs
    )
    unknown = read(body, Keys(), version_2=False)
    assert rows(unknown) == expected
    order = data.draw(st.permutations(unknown.keys))
    assert rows(read(body, known(order), version_2=False), order) == expected


@given(st.lists(st.tuples(labels, times, bits), max_size=8))
def test_both_versions_say_the_same(sent: list) -> None:
    one = [(by_name, time_ms, double(of_bits)) for by_name, time_ms, of_bits in sent]
    first = read(remote_write.decompress(request_1(one), LIMIT), Keys(), version_2=False)
    second = read(remote_write.decompress(request_2(one), LIMIT), Keys(), version_2=True)
    assert rows(first) == rows(second)
    # The same series has the same key, so that it is known whichever version it comes by.
    assert set(first.keys) == set(second.keys)


def places(body: bytes, keys: Iterable[bytes]) -> list[int] | None:
    found = read(body, known(keys), version_2=False).places
    return None if found is None else found.tolist()


def test_a_request_of_known_series_says_what_they_are_known_as() -> None:
    body = remote_write.decompress(request_1([({"__name__": "a"}, NOW, 1.0), ({"__name__": "b"}, NOW, 0.0)]), LIMIT)
    keys = read(body, Keys(), version_2=False).keys
    assert places(body, keys) == [0, 1]
    assert places(body, [keys[1], b"x", keys[0]]) == [2, 0]
    assert places(body, keys[:1]) is None


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40, 500])
@pytest.mark.parametrize("turned", [1, 2, 3, 100], ids=lambda parts: f"{parts} runs")
def test_series_that_come_in_another_order_than_before_are_found(count: int, turned: int) -> None:
    sent = [({"__name__": f"m{index}"}, NOW + index, float(index % 3)) for index in range(count)]
    body = remote_write.decompress(request_1(sent), LIMIT)
    keys = read(body, Keys(), version_2=False).keys
    size = -(-count // turned)
    order = [key for first in reversed(range(0, count, size)) for key in keys[first : first + size]]
    written = read(body, known(order), version_2=False)
    assert written.places is not None
    assert [order[place] for place in written.places.tolist()] == keys
    assert written.times.tolist() == [time_ms for _, time_ms, _ in sent]
    assert written.values.tolist() == [value for _, _, value in sent]


def test_a_series_that_has_a_label_more_than_the_expected_one_is_another() -> None:
    short, long = {"__name__": "m"}, {"__name__": "m", "x": "1"}
    bodies = [
        remote_write.decompress(request_1([({"__name__": "a"}, NOW, 1.0), (by_name, NOW, 2.0)]), LIMIT)
        for by_name in (short, long)
    ]
    keys = read(bodies[0], Keys(), version_2=False).keys
    assert places(bodies[1], keys) is None
    assert rows(read(bodies[1], known(keys), version_2=False))[1] == (sorted(long.items()), NOW, 0x4000 << 48)


@pytest.mark.parametrize("more", [b"\x1a\x00", b"\x20\x01"], ids=["metadata", "an unknown field"])
def test_what_else_a_request_holds_changes_nothing(more: bytes) -> None:
    body = remote_write.decompress(request_1([({"__name__": "a"}, NOW, 1.0), ({"__name__": "b"}, NOW, 0.0)]), LIMIT)
    keys = read(body, Keys(), version_2=False).keys
    for longer in (body + more, more + body):
        written = read(longer, known(keys), version_2=False)
        assert rows(written, keys) == rows(read(body, known(keys), version_2=False), keys)


NAMES = [f"m{index}" for index in range(40)]
# Of each request: runs of the names, which series have the value 0, the time, whether it differs, a byte that is wrong.
requests = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40)), min_size=1, max_size=4),
        st.sets(st.integers(0, 39), max_size=4),
        st.integers(NOW, NOW + 10**9),
        st.booleans(),
        st.one_of(st.none(), st.tuples(st.integers(0, 10_000), st.integers(0, 255))),
    ),
    min_size=2,
    max_size=6,
)


@given(requests)
def test_requests_that_resemble_those_before_are_read_as_if_there_were_none_before(sent: list) -> None:
    keys, order = Keys(), list[bytes]()
    for runs, zeros, time_ms, differs, wrong in sent:
        names = [NAMES[place % 40] for first, count in runs for place in range(first, first + count)]
        samples = [
            ({"__name__": name}, time_ms + place * differs, float(NAMES.index(name) not in zeros) * (place + 1))
            for place, name in enumerate(names)
        ]
        body = bytearray(remote_write.decompress(request_1(samples), LIMIT))
        if wrong is not None:
            body[wrong[0] % len(body)] = wrong[1]
        try:
            expected: list | None = rows(read(bytes(body), Keys(), version_2=False))
        except InvalidInput:
            expected = None
        try:
            written = read(bytes(body), keys, version_2=False)
        except InvalidInput:
            assert expected is None
            continue
        assert rows(written, order) == expected
        if written.came is not None:
            keys.came(*written.came)
        for key in written.keys:
            if key not in keys.places:
                order.append(key)
            keys.add(key)


def test_a_request_that_came_before_is_found_on_the_tape_and_the_tape_stays_small() -> None:
    keys = Keys()

    def came(names: list[str], value: float) -> bool:
        samples = [({"__name__": name, "pad": "x" * 100}, NOW, value) for name in names]
        written = read(remote_write.decompress(request_1(samples), LIMIT), keys, version_2=False)
        for key in written.keys:
            keys.add(key)
        if written.came is not None:
            keys.came(*written.came)
        return written.came is None and written.places is not None

    names = [f"m{index}" for index in range(200)]
    assert [came(names, 1.0), came(names, 2.0), came(names, 3.0), came(names[50:], 4.0)] == [False, False, True, True]
    # All have another form now, which is on the tape from then on.
    assert [came(names, 0.0), came(names, 0.0)] == [False, True]
    for step in range(1, 199):
        mixed = [names[index * step % 199] for index in range(199)]
        came(mixed, 1.0)
        assert came(mixed, 2.0)
    assert keys.tape.size < 5 * sum(map(len, keys.places)) + (2 << 20)


def test_version_2_tells_the_kind() -> None:
    body = request_2([({"__name__": "a"}, NOW, 1.0)], pb.Metadata.METRIC_TYPE_COUNTER)
    written = read(remote_write.decompress(body, LIMIT), Keys(), version_2=True)
    assert list(written.kinds.values()) == [Kind.COUNTER]


def test_native_histograms_are_counted() -> None:
    entry = pb.TimeSeries(histograms=[b""])
    entry.labels.add(name="__name__", value="h")
    body = pb.WriteRequest(timeseries=[entry.SerializeToString()]).SerializeToString()
    assert read(body, Keys(), version_2=False).histograms == 1


@pytest.mark.parametrize("version_2", [False, True], ids=["1.0", "2.0"])
@given(st.binary(max_size=60))
def test_garbage_is_refused_or_read_but_never_fails(version_2: bool, garbage: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert len(read(garbage, Keys(), version_2=version_2).keys) <= len(garbage)


def test_a_forged_length_is_refused_before_anything_is_decompressed() -> None:
    with pytest.raises(TooLarge):
        remote_write.decompress(b"\xff\xff\xff\xff\x0f", LIMIT)


@pytest.mark.parametrize("body", [b"", b"\xff\xff\xff\xff\xff", snappy(b"x" * 100)[:-3]], ids=["no", "endless", "cut"])
def test_what_is_not_snappy_is_refused(body: bytes) -> None:
    with pytest.raises(UnsupportedEncoding):
        remote_write.decompress(body, LIMIT)


def test_references_beyond_the_symbols_are_refused() -> None:
    message = pb.Request(symbols=[""])
    message.timeseries.add(labels_refs=[0, 9])
    with pytest.raises(InvalidInput, match="1 symbols"):
        read(message.SerializeToString(), Keys(), version_2=True)


@pytest.mark.parametrize(
    "entry", [b"\x0a\x00\x12\x10\x09abcde", b"\x12\x07\x10abcdef", b"\x0a\x00\x12\x10\x09\x10" + b"x" * 11]
)
def test_an_entry_that_is_cut_off_is_refused(entry: bytes) -> None:
    body = pb.WriteRequest(timeseries=[series({"__name__": "whole"}, (NOW, 1.0)), entry]).SerializeToString()
    with pytest.raises(InvalidInput):
        read(body, Keys(), version_2=False)
