"""The command line of ``bongsu simulate``."""

from pathlib import Path

import pytest

from bongsu.core.errors import ConfigError
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.simulator.options import parse_options


def test_the_defaults() -> None:
    options = parse_options([], {"XDG_DATA_HOME": "/data"})
    assert (options.servers, options.interval_ms, options.run_ms, options.history_ms) == (20, 10_000, 0, 0)
    assert (options.url, options.authority, options.enrolment_token) == ("http://127.0.0.1:8600", "127.0.0.1:8600", "")
    assert options.data_dir == Path("/data/bongsu/simulator")


def test_every_flag(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    options = parse_options(
        [
            *("--servers", "1000", "--interval", "1s", "--for", "10m", "--history", "1d", "--seed", "7"),
            *("--name-prefix", "lab-", "--url", "https://[::1]/bongsu/", "--ca-file", "ca.pem"),
            *("--enrolment-token-file", str(tmp_path / "token"), "--data-dir", str(tmp_path)),
        ],
        {},
    )
    assert (options.servers, options.interval_ms, options.run_ms, options.history_ms) == (
        1_000,
        1_000,
        10 * MINUTE_MS,
        DAY_MS,
    )
    assert (options.seed, options.name_prefix, options.ca_file) == (7, "lab-", "ca.pem")
    assert (options.secure, options.host, options.port, options.path) == (True, "::1", 443, "/bongsu")
    assert (options.url, options.authority) == ("https://[::1]/bongsu", "[::1]")
    assert (options.enrolment_token, options.data_dir) == ("secret", tmp_path)


def test_the_environment_is_used_where_no_flag_is_given() -> None:
    environment = {
        "BONGSU_SIMULATE_SERVERS": "5",
        "BONGSU_SIMULATE_ENROLMENT_TOKEN": "secret",
        "BONGSU_SIMULATE_FOR": "1m",
        "BONGSU_SIMULATE_URL": "http://bongsu:8600",
    }
    options = parse_options(["--servers", "6"], environment)
    assert (options.servers, options.enrolment_token, options.run_ms) == (6, "secret", MINUTE_MS)
    assert options.url == "http://bongsu:8600"
    assert "secret" not in repr(options)


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("--servers", "0", "from 1 to 20,000"),
        ("--servers", "20001", "from 1 to 20,000"),
        ("--servers", "many", "from 1 to 20,000"),
        ("--interval", "500ms", "from 1s to 1h"),
        ("--interval", "2h", "from 1s to 1h"),
        ("--interval", "10", "has no unit"),
        ("--for", "0s", "longer than 0"),
        ("--for", "soon", "not a duration"),
        ("--history", "2y", "at most 365d"),
        ("--history", "0h", "longer than 0"),
        ("--seed", "-1", "from 0 to"),
        ("--seed", "9" * 40, "from 0 to"),
        ("--name-prefix", "a b", "letters, digits"),
        ("--name-prefix", "x" * 101, "up to 100"),
        ("--url", "127.0.0.1:8600", "write it like http://127.0.0.1:8600"),
        ("--url", "ftp://127.0.0.1", "write it like http://127.0.0.1:8600"),
        ("--url", "http://127.0.0.1:99999", "--url"),
        ("--url", "http://host/a b", "ASCII"),
        ("--enrolment-token", "two words", "without spaces"),
        ("--enrolment-token-file", "/nowhere/token", "No such file"),
    ],
)
def test_a_wrong_value_names_its_flag_and_its_limit(flag: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        parse_options([f"{flag}={text}"], {})
    assert error.value.message.startswith(f"{flag}:")
