"""Reading the capture at any position."""

import numpy as np
import pytest

from bongsu.simulator import capture
from bongsu.simulator.replay import CPU_MODES, replay


def test_counters_never_fall_not_even_at_a_turn() -> None:
    source = replay()
    turns = np.arange(1, 50) * source.length / 2
    positions = np.sort(np.concatenate([np.linspace(0, 9 * source.length, 40_001), turns, np.nextafter(turns, 0)]))
    read = source.at(positions)
    for name in source.means:
        assert (np.diff(read[:, source.names[name]]) >= 0).all(), name


def test_counters_grow_by_the_steps_of_the_capture() -> None:
    source = replay()
    written = capture.column("io.vda.write_bytes")
    read = source.at(np.arange(1_501.0))[:, source.names["disk_write_bytes"]]
    assert read.tolist() == (written - written[0]).tolist()


def test_the_capture_is_read_backwards_after_its_end() -> None:
    source = replay()
    loads = capture.column("l1") / 2
    read = source.at(np.arange(3_001.0))[:, source.names["load_1m"]]
    assert read.tolist() == [*loads, *loads[-2::-1]]


def test_cpu_time_never_grows_faster_than_time() -> None:
    source = replay()
    places = [source.names[mode] for mode in CPU_MODES]
    grown = np.diff(source.at(np.arange(3_001.0))[:, places].sum(axis=1))
    assert (grown <= 1_000_000).all()
    assert grown.mean() > 100_000


def test_gauges_are_shares() -> None:
    source = replay()
    for name in ("memory", "cached", "buffers", "slab", "tasks"):
        values = source.at(np.arange(3_000.0))[:, source.names[name]]
        assert (values.min(), values.max()) == (0.0, 1.0)
    assert np.abs(source.skew(np.arange(6_000.0))).max() <= 1.0


def test_a_series_that_the_capture_does_not_have() -> None:
    with pytest.raises(KeyError, match=r"io\.sdz"):
        capture.column("io.sdz")
