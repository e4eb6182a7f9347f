"""Files of lines: positions, bad lines, compression."""

import contextlib
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bongsu.core.errors import ConfigError
from bongsu.importer.files import FileSource, fingerprint
from bongsu.importer.openmetrics import OpenMetricsParser
from bongsu.importer.text_lines import MAX_LINE_BYTES, TextLines
from bongsu.importer.totals import Totals

Opened = Callable[..., FileSource]


@pytest.fixture
def opened() -> Iterator[Opened]:
    with contextlib.ExitStack() as stack:

        def opened(path: Path, totals: Totals | None = None, said: list[str] | None = None) -> FileSource:
            lines = TextLines(path)
            stack.callback(lines.close)
            say = ([] if said is None else said).append
            return FileSource(lines, OpenMetricsParser(), totals or Totals(), 2, say)

        yield opened


@pytest.mark.parametrize("compressed", [False, True])
def test_every_position_continues_with_the_rest(tmp_path: Path, compressed: bool, opened: Opened) -> None:
    text = "".join(f'up{{i="{index}"}} {index} {1_795_000_000 + index}\n' for index in range(7)).encode()
    path = tmp_path / "dump"
    path.write_bytes(gzip.compress(text) if compressed else text)
    batches = list(opened(path).batches(None))
    everything = [sample for batch in batches for sample in batch.samples]
    assert [sample[2] for sample in everything] == list(range(7))
    done = 0
    for batch in batches:
        done += len(batch.samples)
        rest = opened(path).batches(batch.position)
        assert [sample for later in rest for sample in later.samples] == everything[done:]


def test_a_bad_line_costs_only_itself(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "dump"
    huge = b'up{a="' + b"x" * (3 * MAX_LINE_BYTES) + b'"} 1 1\n'
    bad = b"\0\xff\x07\n" + huge + b"no time 1 \n" + b"up 1\n" * 9
    path.write_bytes(b"up 1 1795000000\r\n" + bad + b"up 2 1795000001")
    totals, said = Totals(), list[str]()
    samples = [sample for batch in opened(path, totals, said).batches(None) for sample in batch.samples]
    assert [sample[2] for sample in samples] == [1, 2]
    assert (totals.lines, totals.bad_lines, totals.read) == (14, 12, 2)
    assert said[0].startswith("line 2 is left out: it is not UTF-8")
    assert said[1] == "line 3 is left out: it is longer than 1,048,576 bytes"
    assert len(said) == 6
    assert said[-1] == "further lines that are left out are only counted"
    assert all(line.isprintable() for line in said)


def test_a_damaged_gzip_file_says_where(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "dump.gz"
    whole = gzip.compress(b"up 1 1795000000\n" * 50_000)
    for damaged in (whole[:-20], whole[:100] + b"\0" * 50 + whole[150:]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match="cannot be read on after byte"):
            list(opened(path).batches(None))


def test_a_file_that_grows_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(b"up 1 1\n")
    first = fingerprint(path)
    path.write_bytes(b"up 1 1\nup 2 2\n")
    assert fingerprint(path) == first
    path.write_bytes(b"other 1 1\n")
    assert fingerprint(path) != first


def test_a_position_that_is_none(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "dump").write_bytes(b"up 1 1\n")
    with pytest.raises(ConfigError, match="--restart"):
        list(opened(tmp_path / "dump").batches({"offset": -3}))
