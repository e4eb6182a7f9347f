"""Values that scripts and programs hand in."""

import socket
import sys

import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.custom import CustomCollector, StatsD, clean, parse
from bongsu.agent.config import CollectorConfig, Config
from bongsu.agent.sampling.assembly import Assembler
from bongsu.agent.stats import Stats
from bongsu.agent.wiring import collectors
from bongsu.core.errors import ConfigError
from bongsu.core.series import Kind
from tests.support.agent_fakes import fake_ps, wait_for
from tests.support.clock import FakeClock
from tests.unit.agent.test_collectors import values


@pytest.fixture
def statsd():
    made = StatsD("127.0.0.1:0")
    yield made
    made.close()


def send(port: int, text: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(text.encode(), ("127.0.0.1", port))


def taken(statsd: StatsD, packet: str, *, last: str = "custom_end") -> dict[str, tuple[float, bool]]:
    """What the packet made of it; a last gauge says that it was read."""
    send(statsd.port, packet)
    send(statsd.port, f"{last.removeprefix('custom_')}:1|g")
    kept: dict[str, tuple[float, bool]] = {}

    def arrived() -> bool:
        kept.update(
            {name + "".join(f"[{v}]" for _, v in labels): value for (name, labels), value in statsd.take().items()}
        )
        return last in kept

    wait_for(arrived)
    del kept[last]
    return kept


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param("orders:3|c\norders:2|c", {"custom_orders_total": (5.0, True)}, id="counters add up"),
        pytest.param("orders:3|c|@0.1", {"custom_orders_total": (30.0, True)}, id="a sample stands for ten"),
        pytest.param("q:7|g\nq:-2|g\nq:+1|g", {"custom_q": (6.0, False)}, id="gauges may be moved"),
        pytest.param(
            "t:250|ms\nt:750|ms",
            {"custom_t_count_total": (2.0, True), "custom_t_seconds_total": (1.0, True)},
            id="timers are a count and a sum in seconds",
        ),
        pytest.param("hits:1|c|#shop:eu,Paid", {"custom_hits_total[][eu]": (1.0, True)}, id="tags are labels"),
        pytest.param(
            "rubbish\nx:|c\ny:1|zz\nz:1|c|@7\nq:1|g", {"custom_q": (1.0, False)}, id="nonsense is passed over"
        ),
    ],
)
def test_statsd(statsd: StatsD, packet: str, expected: dict[str, tuple[float, bool]]) -> None:
    assert taken(statsd, packet) == expected


def test_statsd_sets_count_different_members(statsd: StatsD) -> None:
    send(statsd.port, "u:a|s\nu:b|s\nu:a|s")
    key = ("custom_u", ())
    seen: list[float] = []
    wait_for(lambda: seen.append(statsd.take().get(key, (0.0, False))[0]) or 2.0 in seen)
    assert statsd.take()[key] == (0.0, False)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:8125", "192.0.2.1:8125", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:99999"]
)
def test_statsd_listens_on_loopback_only(address: str) -> None:
    with pytest.raises(ConfigError, match="StatsD address"):
        StatsD(address)


def test_a_taken_port_is_said(statsd: StatsD) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        StatsD(f"127.0.0.1:{statsd.port}")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("42\n", {("custom_jobs", ()): (42.0, False)}),
        ("# HELP x y\nOrders.Paid_total 7\n", {("custom_orders_paid_total", ()): (7.0, True)}),
        ('depth{queue="a,b",env="x"} 1.5', {("custom_depth", (("env", "x"), ("queue", "a,b"))): (1.5, False)}),
        ("a 1 1700000000\n\nb 2", {("custom_a", ()): (1.0, False), ("custom_b", ()): (2.0, False)}),
    ],
)
def test_output_of_scripts(output: str, expected) -> None:
    assert parse("jobs", output) == (expected, "")


def test_output_that_makes_no_sense_is_said_and_the_rest_kept() -> None:
    values_, problem = parse("jobs", "a 1\nhello world\n")
    assert values_ == {("custom_a", ()): (1.0, False)}
    assert problem == "printed 'hello world', which is not a name and a number"


def test_names_cannot_pass_for_the_agents_own() -> None:
    assert clean("cpu_usage_ratio") == "custom_cpu_usage_ratio"
    assert clean("Ünïcode.Näme") == "custom_n_code_n_me"
    assert clean("...") == "custom_value"


def collector(clock: FakeClock, notes: list[str], timeout_ms: int = 30_000, **scripts: str) -> CustomCollector:
    options = Options(
        values={"scripts": scripts, "timeout": timeout_ms}, note=lambda topic, problem: notes.append(problem)
    )
    return CustomCollector(fake_ps(), options, monotonic=clock.monotonic)


def test_a_script_is_read_at_a_later_tick_and_never_waited_for() -> None:
    notes: list[str] = []
    made = collector(FakeClock(), notes, answer=f'{sys.executable} -c "print(42)"')
    assert list(made.collect()) == []
    wait_for(lambda: values(made.collect()) == {"custom_answer": 42})
    assert notes == []
    made.close()


def test_scripts_that_fail_hang_or_do_not_exist_are_said() -> None:
    notes: list[str] = []
    clock = FakeClock()
    made = collector(
        clock,
        notes,
        1000,
        bad=f'{sys.executable} -c "raise SystemExit(3)"',
        hang=f'{sys.executable} -c "input()" ',
        absent="/no/such/program",
    )
    made._scripts[1]._words = [sys.executable, "-c", "import time; time.sleep(600)"]
    list(made.collect())
    clock.advance(0.5)
    wait_for(lambda: list(made.collect()) == [] and "the script bad ended with status 3" in notes)
    assert not [note for note in notes if "hang" in note]
    clock.advance(1)
    list(made.collect())
    made.close()
    assert "the script hang did not end within 1 s and was stopped" in notes
    assert "the script absent cannot be started: No such file or directory" in notes


def test_found_metrics_make_a_layout() -> None:
    notes: list[str] = []
    made = collector(FakeClock(), notes, answer=f"{sys.executable} -c \"print('paid_total 5'); print('b_bytes 2')\"")
    complaints: list[str] = []
    assembler = Assembler(lambda topic, problem: complaints.append(problem))
    assembler.declare(made)
    wait_for(lambda: assembler.frame(1, made.collect()) is not None)
    made.close()
    assert [(one.metric, one.unit, one.kind) for one in assembler.layout.series] == [
        ("custom_b_bytes", "bytes", Kind.GAUGE),
        ("custom_paid_total", "", Kind.COUNTER),
    ]
    assert complaints == []


def test_scripts_do_not_get_the_agents_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_AGENT_TOKEN", "s3cret")
    notes: list[str] = []
    program = "import os; print(sum(name.startswith('BONGSU') for name in os.environ))"
    made = collector(FakeClock(), notes, secrets=f'{sys.executable} -c "{program}"')
    list(made.collect())
    wait_for(lambda: values(made.collect()) == {"custom_secrets": 0})
    made.close()


def test_a_command_beside_the_running_agent_leaves_it_the_port(statsd: StatsD) -> None:
    config = Config(collectors={"custom": CollectorConfig(settings={"statsd": f"127.0.0.1:{statsd.port}"})})
    complaints: list[str] = []
    made = collectors(config, lambda topic, problem: None, lambda topic, problem: complaints.append(problem))
    assert complaints == []
    assert "custom" in {one.name for one, _ in made}
    with pytest.raises(ConfigError, match="cannot be used"):
        collectors(config, lambda topic, problem: None, lambda topic, problem: None, Stats())
