"""``bongsu agent status``, and the file that it reads."""

import json
import time
from pathlib import Path

import pytest

from bongsu.agent.commands.status import status
from bongsu.agent.config import Config
from bongsu.agent.sampling.runner import RunningCollector
from bongsu.agent.stats import Stats, TargetStats
from bongsu.agent.status_file import write_status
from bongsu.core.errors import ConfigError
from tests.support.agent_fakes import FastCollector


def test_status_of_a_running_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stats = Stats(
        ticks=5, sent_frames=4, queue_frames=3, queue_bytes=5000, last_error="no response in time", server_up=False
    )
    stats.oldest_unsent_ms = round((time.time() - 90) * 1000)
    stats.collector_errors["fast"] = 2
    config = Config(data_dir=str(tmp_path))
    write_status(config, stats, [RunningCollector(FastCollector(), runs=5, cpu_seconds=0.01)])
    assert status("", {"data_dir": str(tmp_path)}, format="table") == 1  # the server does not answer
    assert status("", {"data_dir": str(tmp_path)}, format="table", running=True) == 0
    shown = capsys.readouterr().out
    assert "3 frames, 4.88 KiB, the oldest 1m 30s old" in shown
    assert "no response in time" in shown
    assert "fast          2.00 ms 2 errors" in shown
    stats.server_up = True
    write_status(config, stats, [])
    assert status("", {"data_dir": str(tmp_path)}, format="json") == 0
    assert json.loads(capsys.readouterr().out)["running"] is True


def test_status_of_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stats = Stats(sent_frames=1)
    stats.targets = {
        "node a:1": TargetStats(scrapes=5, kept=1_200, seconds=0.02),
        "node b:1": TargetStats(
            up=False, scrapes=5, failed_scrapes=2, skipped_scrapes=1, last_error="Connection refused."
        ),
        "node c:1": TargetStats(
            scrapes=5, kept=3, seconds=0.001, dropped_samples=10, unsendable="m has a long label", failed_scrapes=0
        ),
        "node d:1": TargetStats(),
    }
    write_status(Config(data_dir=str(tmp_path)), stats, [])
    assert status("", {"data_dir": str(tmp_path)}, format="table") == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "Target      node a:1: 1,200 series in 20 ms",
        "Target      node b:1: fails: Connection refused.; 2 failed; 1 skipped",
        "Target      node c:1: 3 series in 1 ms; 10 samples left out; m has a long label",
        "Target      node d:1: not scraped yet",
    ]
    assert status("", {"data_dir": str(tmp_path)}, format="json") == 0
    assert json.loads(capsys.readouterr().out)["targets"]["node b:1"]["failed_scrapes"] == 2


def test_status_of_a_stopped_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="No agent has run"):
        status("", {"data_dir": str(tmp_path)}, format="table")
    write_status(Config(data_dir=str(tmp_path)), Stats(), [])
    content = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps({**content, "time": time.time() - 3600}))
    assert status("", {"data_dir": str(tmp_path)}, format="table") == 1
    assert status("", {"data_dir": str(tmp_path)}, format="table", running=True) == 1
    assert "stopped?" in capsys.readouterr().out
