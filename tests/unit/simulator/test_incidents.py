"""What ``--incident`` says, and which servers it hits."""

import pytest

from bongsu.core.errors import ConfigError
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.simulator.incidents import MAX_INCIDENTS, Incident, parse_incident, troubles
from bongsu.simulator.machine import machine_name, make_machine
from bongsu.simulator.options import parse_options
from bongsu.simulator.trouble import Kind, Trouble, shift_ms

START_MS = 1_800_000_000_000
NAMES = [machine_name(index, "") for index in range(20)]


def test_what_is_not_said_has_a_default() -> None:
    assert parse_incident("server-down") == Incident(Kind.SERVER_DOWN, 1, (), 0, 5 * MINUTE_MS, 0)
    assert parse_incident("cpu-storm:servers=3,after=1m,for=2h") == Incident(
        Kind.CPU_STORM, 3, (), MINUTE_MS, 2 * HOUR_MS, 0
    )
    assert parse_incident("clock-skew:servers=web-01+db-01,by=-90s") == Incident(
        Kind.CLOCK_SKEW, 0, ("web-01", "db-01"), 0, 5 * MINUTE_MS, -90_000
    )


def test_several_come_from_flags_or_from_the_environment() -> None:
    flags = ["--incident", "cpu-storm:servers=2", "--incident", "partition"]
    variable = {"BONGSU_SIMULATE_INCIDENT": "cpu-storm:servers=2 partition"}
    assert parse_options(flags, {}).incidents == parse_options([], variable).incidents
    assert [incident.kind for incident in parse_options(flags, {}).incidents] == [Kind.CPU_STORM, Kind.PARTITION]
    assert parse_options(["--incident", "server-down"], variable).incidents == (parse_incident("server-down"),)
    assert parse_options([], {}).incidents == ()


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("", "kind", "'' is no kind of incident: use cpu-storm, disk-full"),
        ("fire:for=1m", "kind", "'fire' is no kind"),
        ("cpu-storm:servers=0", "servers", "at least 1"),
        ("cpu-storm:servers=web-01++db-01", "servers", "neither a number nor up to 1,000 names"),
        ("cpu-storm:servers=" + "+".join(map(str, range(1_001))), "servers", "up to 1,000 names"),
        ("cpu-storm:after=soon", "after", "not a duration"),
        ("cpu-storm:after=2y", "after", "not from 0s to 365d"),
        ("cpu-storm:for=0s", "for", "not from 1s to 365d"),
        ("cpu-storm:for=10", "for", "has no unit"),
        ("cpu-storm:for=1m,for=2m", "for", "at most once"),
        ("cpu-storm:by=1m", "by", "use each of servers=, after=, for= at most once"),
        ("cpu-storm:1m", "1m", "use each of servers="),
        ("clock-skew", "by", "is missing"),
        ("clock-skew:by=0s", "by", "not from 1s to 1d"),
        ("clock-skew:by=-2d", "by", "not from 1s to 1d"),
        ("clock-skew:by=--90s", "by", "not a duration"),
        ("clock-skew:by=+-90s", "by", "not a duration"),
    ],
)
def test_what_is_wrong_names_its_field_and_its_limit(text: str, field: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        parse_incident(text)
    assert error.value.field == f"incident.{field}"
    assert error.value.message.startswith("--incident: ")


def test_a_number_of_servers_is_chosen_by_the_seed() -> None:
    def hit(*texts: str, seed: int = 1) -> list[list[str]]:
        found = troubles([*map(parse_incident, texts)], servers=NAMES, seed=seed, start_ms=START_MS)
        return [[trouble.kind for trouble in each] for each in found]

    storm = hit("cpu-storm:servers=3")
    assert storm.count([Kind.CPU_STORM]) == 3
    assert storm.count([]) == 17
    assert storm == hit("cpu-storm:servers=3")
    assert storm != hit("cpu-storm:servers=3", seed=2)
    assert hit("cpu-storm:servers=20", "partition:servers=20") == 20 * [[Kind.CPU_STORM, Kind.PARTITION]]
    assert hit("partition:servers=db-01")[NAMES.index("db-01")] == [Kind.PARTITION]


def test_it_begins_after_the_simulator() -> None:
    found = troubles([parse_incident("disk-full:after=1m,for=2m")], servers=["web-01"], seed=1, start_ms=START_MS)
    assert found == [(Trouble(Kind.DISK_FULL, START_MS + MINUTE_MS, START_MS + 3 * MINUTE_MS),)]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["cpu-storm:servers=21"], "21 is more than the fleet has"),
        (["cpu-storm:servers=web-99"], "there is no server web-99 among 20"),
        (["cpu-storm:servers=web-01", "cpu-storm:servers=web-01,after=4m"], "cpu-storm overlap on web-01"),
    ],
)
def test_what_the_fleet_does_not_have_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        troubles([*map(parse_incident, texts)], servers=NAMES, seed=1, start_ms=START_MS)


def test_more_than_the_limit_are_refused() -> None:
    with pytest.raises(ConfigError, match=f"more than {MAX_INCIDENTS}"):
        parse_options((MAX_INCIDENTS + 1) * ["--incident=partition"], {})


def test_names_are_those_of_the_machines() -> None:
    assert [make_machine(index, seed=3, prefix="lab-").name for index in range(45)] == [
        machine_name(index, "lab-") for index in range(45)
    ]


@pytest.mark.parametrize(
    ("by_ms", "shifts"),
    [
        pytest.param(90_000, [0, 90_000, 90_000, 1], id="ahead, and set back at the end"),
        pytest.param(-90_000, [0, -89_999, -89_999, 1], id="behind: set back at the start"),
    ],
)
def test_a_clock_that_is_off_repeats_no_time(by_ms: int, shifts: list[int]) -> None:
    skew = Trouble(Kind.CLOCK_SKEW, START_MS, START_MS + MINUTE_MS, by_ms)
    times = [START_MS - 1, START_MS, START_MS + MINUTE_MS - 1, START_MS + MINUTE_MS]
    assert [shift_ms((skew,), time_ms) for time_ms in times] == shifts
    stamps = [tick + shift_ms((skew,), tick) for tick in range(START_MS - HOUR_MS, START_MS + HOUR_MS, 10_000)]
    assert len(stamps) == len(set(stamps))
