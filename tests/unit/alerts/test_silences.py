"""When a silence is active: once, weekly, across midnight, and when the clocks change."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from bongsu.alerts.silences import Silence


def at(text: str, zone: str = "UTC") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def weekly(start: str, duration: str, days: list[str], zone: str = "UTC", **more: object) -> Silence:
    return Silence.model_validate(
        {"weekly": {"start": start, "duration": duration, "days": days, "timezone": zone}} | more
    )


SEOUL, BERLIN = "Asia/Seoul", "Europe/Berlin"


@pytest.mark.parametrize(
    ("silence", "moment", "until"),
    [
        pytest.param(Silence(starts_ms=1000, ends_ms=2000), 999, None, id="before its start"),
        pytest.param(Silence(starts_ms=1000, ends_ms=2000), 1000, 2000, id="at its start"),
        pytest.param(Silence(starts_ms=1000, ends_ms=2000), 2000, None, id="at its end"),
        pytest.param(weekly("02:00", "2h", ["sun"], SEOUL), at("2026-08-02 03:00", SEOUL), at("2026-08-02 04:00", SEOUL), id="Sunday 03:00 in Seoul, which is Saturday in UTC"),
        pytest.param(weekly("02:00", "2h", ["sun"], SEOUL), at("2026-08-02 03:00"), None, id="Sunday 03:00 in UTC, which is noon in Seoul"),
        pytest.param(weekly("23:00", "3h", ["sat"]), at("2026-08-02 01:30"), at("2026-08-02 02:00"), id="across midnight: Sunday 01:30 is in the window of Saturday"),
        pytest.param(weekly("23:00", "3h", ["sun"]), at("2026-08-02 01:30"), None, id="Sunday 01:30 is not in the window of Sunday"),
        pytest.param(weekly("12:00", "7d", ["mon"]), at("2026-08-09 11:59"), at("2026-08-10 12:00"), id="a week long"),
        pytest.param(weekly("01:00", "3h", ["sun"], BERLIN), at("2026-03-29 03:30", BERLIN), at("2026-03-29 05:00", BERLIN), id="the clocks go from 2 to 3: three hours from 1 end at 5"),
        pytest.param(weekly("02:00", "1h", ["sun"], BERLIN), at("2026-03-29 03:00", BERLIN), at("2026-03-29 04:00", BERLIN), id="02:00 does not exist that day: the hour is from 3 to 4"),
        pytest.param(weekly("02:00", "1h", ["sun"], BERLIN), at("2026-03-29 01:59", BERLIN), None, id="and not before"),
        pytest.param(weekly("00:00", "24h", ["sun"], BERLIN), at("2026-03-29 23:59", BERLIN), at("2026-03-30 00:00", BERLIN), id="the day of 23 hours ends at midnight"),
        pytest.param(weekly("00:00", "1d", ["sun"], BERLIN), at("2026-10-25 23:30", BERLIN), at("2026-10-26 00:00", BERLIN), id="the day of 25 hours ends at midnight"),
        pytest.param(weekly("22:00", "26h", ["sat"], BERLIN), at("2026-03-29 23:59", BERLIN), at("2026-03-30 00:00", BERLIN), id="a calendar day and two hours"),
        pytest.param(weekly("02:30", "1h", ["sun"], BERLIN), at("2026-03-29 03:15", BERLIN), None, id="02:30 does not exist that day: it starts at 03:30, so not at 03:15"),
        pytest.param(weekly("01:00", "3h", ["sun"], BERLIN), at("2026-10-25 02:59", BERLIN), at("2026-10-25 03:00", BERLIN), id="the clocks go back from 3 to 2: three hours from 1 end at 3"),
        pytest.param(weekly("02:30", "30m", ["sun"], BERLIN), at("2026-10-25 00:30"), at("2026-10-25 01:00"), id="02:30 comes twice that day: the first counts, for half an hour"),
        pytest.param(weekly("02:30", "30m", ["sun"], BERLIN), at("2026-10-25 01:00"), None, id="not for 90 minutes"),
        pytest.param(weekly("02:30", "30m", ["sun"], BERLIN), at("2026-10-25 01:30"), None, id="and not again at the second 02:30"),
        pytest.param(weekly("00:00", "24h", ["fri"], ends_ms=at("2026-08-01 00:00")), at("2026-08-07 10:00"), None, id="weekly until August"),
        pytest.param(weekly("00:00", "24h", ["fri"], ends_ms=at("2026-07-31 12:00")), at("2026-07-31 10:00"), at("2026-07-31 12:00"), id="the end comes first"),
    ],
)  # fmt: skip
def test_until(silence: Silence, moment: int, until: int | None) -> None:
    assert silence.until(moment) == until
