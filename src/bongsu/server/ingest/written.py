"""The samples of remote write requests as arrays."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Indices, Times, Values
from bongsu.core.descriptions import Description
from bongsu.core.series import Kind
from bongsu.server.ingest.keys import Keys
from bongsu.server.ingest.tape import SAMPLE_BYTES, TIME_BYTES, VALUE_AT, Run, every, key_in
from bongsu.wire import remote_write
from bongsu.wire.remote_write import Decoded

# A time has 6 bytes from 1971 to 2109: their highest bits, and how many bits of 8 bytes are before them.
_TIME_BITS, _TIME_FORM = 0x8080_8080_8080, 0x0080_8080_8080
_BEFORE_TIME = np.uint64(16)


@dataclass(slots=True)
class Written:
    """The samples of a request.

    ``keys``: (n,) the encoded labels of each sample's series, may be empty if ``places`` are there; ``times``: (n,);
    ``values``: (n,), bit for bit as sent; ``places``: (n,) those of the keys, None if one is not known; ``came``:
    the request, if it has only known series, but not as on the tape; the rest as in ``Decoded``.
    """

    keys: list[bytes]
    times: Times
    values: Values
    places: Indices | None = None
    kinds: dict[bytes, Kind] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    histograms: int = 0
    came: tuple[bytes, Run] | None = None


def read(body: bytes, known: Keys, *, version_2: bool) -> Written:
    """The samples of a decompressed request. ``known``: the keys of series seen before.

    Raises:
        InvalidInput: the body is not such a request.
    """
    return _written(remote_write.read_2(body)) if version_2 else read_1(body, known)


def _written(decoded: Decoded) -> Written:
    times, values = np.array(decoded.times, np.int64), np.array(decoded.values, np.float64)
    return Written(decoded.keys, times, values, None, decoded.kinds, decoded.descriptions, decoded.histograms)


def read_1(body: bytes, known: Keys) -> Written:
    """A request of version 1.0. ``known``: the keys of series seen before.

    Raises:
        InvalidInput: the body is not such a request.
    """
    run = known.tape.find(body, known.places)
    samples = None if run is None else _samples(body, run)
    if run is not None and samples is not None:
        return Written([], *samples, places=run.places)
    series, descriptions = remote_write.series_of(body)
    written = _one_by_one(body, series, known)
    written.descriptions = descriptions
    return written


def _one_by_one(body: bytes, series: list[bytes], known: Keys) -> Written:
    found = [key_in(entry, 0, len(entry)) for entry in series]
    places = [None if key is None else known.places.get(key[0]) for key in found]
    came = _as_run(body, series, found, places)
    samples = None if came is None else _samples(body, came)
    if came is not None and samples is not None:
        return Written([], *samples, places=came.places, came=(body, came))
    # The rest of an entry is labels and nothing else only if somebody has looked.
    usual = [
        index
        for index, (key, place) in enumerate(zip(found, places, strict=True))
        if key is not None and (place is not None or remote_write.has_only_labels(key[0]))
    ]
    keys = [key[0] for index in usual if (key := found[index]) is not None]
    ends = np.cumsum([len(series[index]) for index in usual], dtype=np.intp)
    zero = np.array([key[1] for index in usual if (key := found[index]) is not None], np.bool_)
    samples = _samples(b"".join([series[index] for index in usual]), Run(ends, zero, ends)) if usual else None
    if samples is None:
        return _written(remote_write.decode_series(series))
    rest = set(range(len(series))).difference(usual)
    others = _written(remote_write.decode_series([series[index] for index in sorted(rest)]))
    times, values = (np.concatenate(both) for both in zip(samples, (others.times, others.values), strict=True))
    return Written(keys + others.keys, times, values, histograms=others.histograms)


def _as_run(
    body: bytes, series: list[bytes], found: list[tuple[bytes, bool] | None], places: list[int | None]
) -> Run | None:
    """The request, if all its series are known and have a sample of a usual form, and it holds nothing else."""
    if not series or None in places:
        return None
    lengths = np.fromiter(map(len, series), np.intp, len(series))
    # Before each entry is a tag, and its length in one, two or three bytes.
    ends = np.cumsum(lengths + 2 + (lengths >= 1 << 7) + (lengths >= 1 << 14))
    if ends[-1] != len(body):
        return None
    return Run(ends, np.array([key is not None and key[1] for key in found]), np.array(places, np.intp))


def _samples(body: bytes, run: Run) -> tuple[Times, Values] | None:
    """The samples of entries, if their times are of the usual form."""
    if run.ends[0] < SAMPLE_BYTES:
        return None
    eight: npt.NDArray[np.uint64] = every(np.frombuffer(body, np.uint8), "<u8")
    times = _times(eight[run.ends - 8] >> _BEFORE_TIME)
    if times is None:
        return None
    values = eight[run.ends - VALUE_AT]
    values[run.zero] = 0
    return times, values.view(np.float64)


def _times(encoded: npt.NDArray[np.uint64]) -> Times | None:
    """Numbers of 7 bits in each of 6 bytes; None if one is of another form. Those of a scrape are the same."""
    first = int(encoded[0])
    if (encoded == first).all():
        if first & _TIME_BITS != _TIME_FORM:
            return None
        return np.full(len(encoded), sum((first >> place & 0x7F << 7 * place) for place in range(TIME_BYTES)), np.int64)
    if ((encoded & _TIME_BITS) != _TIME_FORM).any():
        return None
    decoded = np.zeros_like(encoded)
    for place in range(TIME_BYTES):
        decoded |= (encoded >> np.uint64(place)) & np.uint64(0x7F << 7 * place)
    return decoded.view(np.int64)
