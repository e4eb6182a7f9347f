"""The command line of the import."""

from pathlib import Path

import pytest

from bongsu.core.errors import BongsuError
from bongsu.importer.options import parse_options, parse_time_ms

TOKEN = {"BONGSU_IMPORT_TOKEN": "bongsu_api_secret"}
NOW_MS = 1_795_000_000_000


def test_defaults(tmp_path: Path) -> None:
    options = parse_options(["openmetrics", str(tmp_path / "dump")], TOKEN)
    assert options.state == tmp_path / "dump.bongsu-import.json"
    assert (options.url, options.batch_samples, options.compression) == ("http://127.0.0.1:8600", 5_000, "auto")
    options = parse_options(["prometheus", "http://prometheus:9090/"], TOKEN)
    assert (options.source, options.matchers, options.end) == ("http://prometheus:9090", ("",), "")
    assert options.state == Path("prometheus_9090.bongsu-import.json")
    assert "secret" not in repr(options)


def test_the_token_of_a_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of_a_file\n")
    assert parse_options(["influx", "f", "--token-file", str(tmp_path / "token")], TOKEN).token == "of_a_file"


@pytest.mark.parametrize(("words", "environment", "message"), [
    (["influx", "f"], {}, "There is no token"),
    (["influx", "f"], {"BONGSU_IMPORT_TOKEN": "a b"}, "BONGSU_IMPORT_TOKEN: a token consists of"),
    (["influx", "f", "--token-file", "/none"], {}, "--token-file /none: No such file"),
    (["influx", "f", "--url", "bongsu"], TOKEN, "--url: 'bongsu' is no URL"),
    (["influx", "f", "--batch", "0"], TOKEN, "--batch must be"),
    (["prometheus", "http://a:b@c"], TOKEN, "URL must be only the address"),
    (["prometheus", "http://c", "--match", "rate(x)"], TOKEN, "--match"),
    (["prometheus", "http://c", "--source-basic-auth", "/none"], TOKEN, "--source-basic-auth /none"),
])  # fmt: skip
def test_wrong_values(words: list[str], environment: dict[str, str], message: str) -> None:
    with pytest.raises(BongsuError) as error:
        parse_options(words, environment)
    assert error.value.message.startswith(message)


@pytest.mark.parametrize(("text", "time_ms"), [
    ("1795000000", NOW_MS),
    ("1795000000.5", NOW_MS + 500),
    ("2026-11-18T11:06:40Z", NOW_MS),
    ("1h", NOW_MS - 3_600_000),
    ("1970-01-02", 86_400_000),
])  # fmt: skip
def test_times(text: str, time_ms: int) -> None:
    assert parse_time_ms(text, "--start", NOW_MS) == time_ms


@pytest.mark.parametrize("text", ["", "yesterday", "7", "2026-99-01", "99999999999999999999y"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BongsuError, match="--start"):
        parse_time_ms(text, "--start", NOW_MS)
