"""Identity, the log, and the limits of the agent's own cost."""

import io
import json
from pathlib import Path
from uuid import UUID

import pytest

from bongsu.agent.identity import host_facts, load_identity
from bongsu.agent.log import Log
from bongsu.agent.sampling.cost_limiter import CALM_WINDOWS, SLOWEST, Limits
from bongsu.agent.sampling.runner import Job
from bongsu.agent.stats import Stats
from bongsu.core.errors import ConfigError
from tests.support.agent_fakes import FakeSay
from tests.support.clock import FakeClock
from tests.unit.agent.sampling.test_runner import Fast


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    first = load_identity(str(tmp_path / "new"), "machine")
    assert UUID(first.agent_id).version == 4
    again = load_identity(str(tmp_path / "new"), "machine")
    assert (again.agent_id, again.news) == (first.agent_id, "")
    assert (tmp_path / "new/identity.json").stat().st_mode & 0o077 == 0


def test_a_cloned_disk_gets_an_identity_of_its_own(tmp_path: Path) -> None:
    first = load_identity(str(tmp_path), "machine")
    clone = load_identity(str(tmp_path), "another machine")
    assert clone.agent_id != first.agent_id
    assert "was made on another machine" in clone.news
    assert load_identity(str(tmp_path), "another machine").news == ""


def test_a_machine_that_cannot_be_told_keeps_its_identity(tmp_path: Path) -> None:
    first = load_identity(str(tmp_path), "machine")
    assert load_identity(str(tmp_path), "").agent_id == first.agent_id


@pytest.mark.parametrize("content", ["", "{", "[]", '{"agent_id": 7}', '{"agent_id": "short"}'])
def test_a_damaged_identity_is_replaced_and_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "identity.json").write_text(content)
    identity = load_identity(str(tmp_path), "machine")
    assert "was damaged" in identity.news
    assert load_identity(str(tmp_path), "machine").agent_id == identity.agent_id


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be used: .* Choose another with --data-dir"):
        load_identity(str(tmp_path / "file"), "machine")


def test_facts_of_this_machine() -> None:
    import psutil

    facts = host_facts(psutil)
    assert facts.hostname
    assert facts.os
    assert facts.kernel
    assert facts.cpu_count >= 1
    assert facts.memory_total_bytes > 1024**2
    assert facts.boot_time_ms > 1_000_000_000_000


def test_a_state_is_said_once_and_when_it_is_over() -> None:
    stream = io.StringIO()
    log = Log(stream=stream)
    for _ in range(3):
        log.once("server", "away")
    log.over("server", "back")
    log.over("server", "back")
    log.once("server", "away again")
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "warning away",
        "info back",
        "warning away again",
    ]


def test_levels_and_json() -> None:
    stream = io.StringIO()
    log = Log(stream=stream, level="warning", form="json")
    log.info("quiet")
    log.error("loud\nand long")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"]) == ("error", "loud and long")
    assert entry["time"].endswith("Z")


def test_secrets_are_never_logged() -> None:
    stream = io.StringIO()
    Log(stream=stream, secrets=("s3cret", "")).error("refused: Bearer s3cret")
    assert "s3cret" not in stream.getvalue()
    assert "Bearer ***" in stream.getvalue()


def test_journald_gets_priorities_and_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    Log(stream=stream).once("x", "careful")
    assert stream.getvalue() == "<4>careful\n"


def test_a_file_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "log" / "agent.log"
    log = Log(path=str(path), max_bytes=200, files=3)
    for number in range(30):
        log.info(f"message {number}")
    names = sorted(one.name for one in path.parent.iterdir())
    assert names == ["agent.log", "agent.log.1", "agent.log.2"]
    assert all(one.stat().st_size <= 200 for one in path.parent.iterdir())
    assert "message 29" in path.read_text()


def test_a_log_that_cannot_be_written_does_not_end_the_agent(tmp_path: Path) -> None:
    stream = io.StringIO()
    Log(path=str(tmp_path), stream=stream).info("hello")
    assert "cannot be written" in stream.getvalue()
    assert "hello" in stream.getvalue()


def test_a_reader_that_is_gone_does_not_end_the_agent() -> None:
    stream = io.StringIO()
    stream.close()
    log = Log(stream=stream)
    log.info("hello")
    log.info("again")


class Costing:
    """Limits with a cost that the test decides."""

    def __init__(self, cap: float = 0.01) -> None:
        self.clock = FakeClock()
        self.say = FakeSay()
        self.stats = Stats()
        self.spent = 0.0
        self.resident = 0
        self.jobs = [Job(Fast("cheap")), Job(Fast("dear"))]
        self.limits = Limits(
            cpu=cap,
            memory_bytes=1024**2,
            stats=self.stats,
            say=self.say,
            monotonic=self.clock.monotonic,
            spent=lambda: self.spent,
            resident=lambda: self.resident,
        )

    def minute(self, share: float) -> None:
        for _ in range(6):
            self.clock.advance(10)
            self.spent += share * 10
            self.jobs[0].cpu_seconds += share
            self.jobs[1].cpu_seconds += share * 9
            self.limits.check(self.jobs)


def test_the_dearest_collector_is_slowed_and_recovers() -> None:
    world = Costing()
    world.minute(0.005)
    assert [job.every for job in world.jobs] == [1, 1]
    world.minute(0.02)
    assert [job.every for job in world.jobs] == [1, 2]
    assert world.stats.slowed == {"dear": 2}
    assert "2.0% of a core, more than its limit of 1.0%: the collector dear" in world.say.lines[0]
    for _ in range(CALM_WINDOWS):
        world.minute(0.001)
    assert [job.every for job in world.jobs] == [1, 1]
    assert world.say.lines[1] == "The collector dear runs as often as configured again."


def test_no_collector_is_slowed_without_end() -> None:
    world = Costing()
    for _ in range(20):
        world.minute(0.5)
    assert [job.every for job in world.jobs] == [SLOWEST, SLOWEST]
    assert world.say.lines[-1] == "The agent takes 50.0% of a core, and no collector can be slowed further."


def test_one_costly_moment_is_no_habit() -> None:
    world = Costing()
    world.spent += 0.5  # the start
    world.minute(0.001)
    assert [job.every for job in world.jobs] == [1, 1]


def test_too_much_memory_is_said_once() -> None:
    world = Costing()
    world.resident = 2 * 1024**2
    world.minute(0)
    world.minute(0)
    world.resident = 500
    world.minute(0)
    assert world.say.lines == [
        "The agent has 2.00 MiB resident, more than its 1.00 MiB.",
        "The agent's memory is within its limit again.",
    ]
