"""Textfiles: one bad file costs only itself."""

import os
from pathlib import Path

import pytest

from bongsu.agent.scrape import textfiles
from bongsu.agent.scrape.target import Target, textfile_target
from bongsu.core.samples import unpack


def read(target: Target) -> dict[str, float]:
    return {
        str(series): value
        for frame, layout in target.scrape(1_000)
        for series, value in zip(layout.series, unpack(frame.values), strict=True)
        if value == value
    }


def without_times(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if "mtime" not in name}


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return textfile_target((str(tmp_path),), 10_000)


def test_files_are_read_and_their_times_told(target: Target, tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text('backup_seconds{job="etc"} 5\n')
    (tmp_path / "b.prom").write_text("# HELP x X.\n# TYPE x gauge\nx 1")
    os.utime(tmp_path / "a.prom", (100, 100.5))
    found = read(target)
    assert found[f'node_textfile_mtime_seconds{{file="{tmp_path}/a.prom"}}'] == 100.5
    assert without_times(found) == {'backup_seconds{job="etc"}': 5, "x": 1, "node_textfile_scrape_error": 0}
    assert target.stats.last_error == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"x 2\nbroken\n", "'broken' is not a sample"),
        (b"x 2\n\xff\n", "The page is not UTF-8"),
        (b"x 2 1700000000000\n", "has a time stamp, which a textfile must not have"),
        (b"x 2\n# TYPE y nothing\n", "there is no type nothing"),
        (b"x 2\n" + b"#" * 70_000, "A line is longer than"),
    ],
)
def test_a_bad_file_costs_only_itself(target: Target, tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a.prom").write_text("a 1\n")
    (tmp_path / "b.prom").write_text("x 1\n")
    (tmp_path / "c.prom").write_text("c 1\n")
    assert without_times(read(target)) == {"a": 1, "x": 1, "c": 1, "node_textfile_scrape_error": 0}
    (tmp_path / "b.prom").write_bytes(content)
    assert without_times(read(target)) == {"a": 1, "c": 1, "node_textfile_scrape_error": 1}
    assert f"{tmp_path}/b.prom: " in target.stats.last_error
    assert problem in target.stats.last_error
    (tmp_path / "b.prom").unlink()
    assert without_times(read(target)) == {"a": 1, "c": 1, "node_textfile_scrape_error": 0}
    assert target.stats.last_error == ""


def test_what_is_not_a_file_is_not_read(target: Target, tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("a 1\n")
    (tmp_path / "a.prom.tmp").write_text("half 1\n")
    (tmp_path / ".b.prom").write_text("hidden 1\n")
    os.mkfifo(tmp_path / "pipe.prom")
    (tmp_path / "folder.prom").mkdir()
    (tmp_path / "gone.prom").symlink_to(tmp_path / "absent")
    open_files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for _ in range(5):
        assert without_times(read(target)) == {"a": 1, "node_textfile_scrape_error": 1}
    assert not open_files or len(os.listdir("/proc/self/fd")) == open_files
    assert "pipe.prom: This is not a file" in target.stats.last_error


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("a 1\n")
    target = textfile_target((str(tmp_path / "absent"), str(tmp_path)), 10_000)
    assert without_times(read(target)) == {"a": 1, "node_textfile_scrape_error": 1}
    assert target.stats.last_error == f"{tmp_path}/absent: No such file or directory."


def test_names_of_the_agent_are_taken(target: Target, tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("cpu_usage_ratio 1\na 1\n")
    assert without_times(read(target)) == {"a": 1, "node_textfile_scrape_error": 0}
    assert target.stats.unsendable == "cpu_usage_ratio is a metric of the agent itself"
    assert target.stats.dropped_samples == 1


def test_limits(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfiles, "MAX_FILES", 2)
    monkeypatch.setattr(textfiles, "MAX_FILE_BYTES", 1_024)
    (tmp_path / "a.prom").write_text("a 1\n" + "#\n" * 1_024)
    for name in "bcd":
        (tmp_path / f"{name}.prom").write_text(f"{name} 1\n")
    assert without_times(read(target)) == {"b": 1, "node_textfile_scrape_error": 1}
    assert "a.prom: The file is larger than 1.00 KiB" in target.stats.last_error
    assert "there are more than 2 textfiles" in target.stats.last_error
