"""Real readings: 25 minutes of one busy machine with two cores, one row per second, read with psutil.

Benchmarks use its first 150 series as they are. Simulated servers replay parts of it, see ``replay.py``.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Values
from bongsu.core.series import Kind, Layout, Series

FILE = Path(__file__).parent / "data" / "host-capture.npz"
SERIES = 150


@cache
def _archive() -> tuple[npt.NDArray[np.str_], Values]:
    with np.load(FILE, allow_pickle=False) as archive:
        return archive["names"], archive["rows"][:, 1:]  # the first column is the time


def column(name: str) -> Values:
    """(1501,) all values of one series, such as ``io.vda.read_bytes``. Raises KeyError."""
    names, rows = _archive()
    (places,) = np.nonzero(names == name)
    if not len(places):
        raise KeyError(name)
    return rows[:, places[0]]


@cache
def load() -> tuple[npt.NDArray[np.str_], Values]:
    """Names (150,) and values (1501, 150), one row per second."""
    names, rows = _archive()
    return names[:SERIES], np.ascontiguousarray(rows[:, :SERIES])


@cache
def layout() -> Layout:
    """The capture as a layout of 150 series."""
    series = []
    for name in load()[0]:
        gauge = name in ("cpu", "l1", "l5", "l15", "procs") or str(name).startswith(("mem.", "disk/"))
        gauge = gauge or name in ("swap.total", "swap.used", "swap.free", "swap.percent")
        kind = Kind.GAUGE if gauge else Kind.COUNTER
        series.append(Series("capture_" + str(name).replace(".", "_").replace("/", "_root"), (), "", kind))
    return Layout.of(tuple(series))


def rows(count: int, start: int = 0) -> Values:
    """(count, 150) values from row ``start`` on. Past its end, the capture is read backwards, then forwards again and
    so on, so that gauges do not jump; counters keep rising by the same steps."""
    _, values = load()
    length = len(values)
    steps = np.diff(values, axis=0)
    index = np.arange(start, start + count)
    turn, place = np.divmod(index, length - 1)
    folded = np.where(turn % 2 == 0, place, length - 1 - place)
    result = values[folded].copy()
    counters = np.array([series.kind is Kind.COUNTER for series in layout().series])
    total = steps[:, counters].sum(axis=0)
    forward = values[:, counters] - values[0, counters]
    backward = total - forward[::-1]
    within = np.where((turn % 2 == 0)[:, None], forward[place], backward[place])
    result[:, counters] = values[0, counters] + turn[:, None] * total + within
    return result
