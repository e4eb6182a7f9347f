"""One line for each frame."""

import json
import math

from bongsu.core.events import Event, EventType
from bongsu.core.series import Kind, Series
from bongsu.watch.frames import StreamFrame
from bongsu.watch.lines import Lines, as_json, as_line
from bongsu.wire.live import State

FRAME = StreamFrame(
    1_785_430_324_123,
    10_000,
    (
        (Series("cpu_usage_ratio", (), "ratio"), 0.1 + 0.2, None),
        (Series("filesystem_used_bytes", (("mountpoint", "/srv/a\nb"),), "bytes"), 1536.0, None),
        (Series("network_receive_bytes_total", (("interface", "eth0"),), "bytes", Kind.COUNTER), 1e15 + 1, 2048.0),
        (Series("disk_reads_total", (("device", "sda"),), "", Kind.COUNTER), 5.0, math.nan),
        (Series("load_1m"), math.nan, None),
        (Series("queue_length"), math.inf, None),
    ),
)


def test_text_has_units_and_no_spaces_in_values() -> None:
    assert as_line(FRAME).split(" ") == [
        "2026-07-30T16:52:04.123Z",
        "cpu_usage_ratio=30.0%",
        'filesystem_used_bytes{mountpoint="/srv/a\\nb"}=1.50KiB',
        'network_receive_bytes_total{interface="eth0"}=2.00KiB/s',
        'disk_reads_total{device="sda"}=-',
        "load_1m=-",
        "queue_length=inf",
    ]


def test_json_has_every_digit_and_null_for_what_is_no_number() -> None:
    line = as_json(FRAME, 3, "웹-1")
    assert "\n" not in line
    frame = json.loads(line)
    assert (frame["time_ms"], frame["server_id"], frame["server"]) == (1_785_430_324_123, 3, "웹-1")
    assert [series["value"] for series in frame["series"]] == [0.1 + 0.2, 1536, 1e15 + 1, 5, None, None]
    assert [series["rate"] for series in frame["series"]] == [None, None, 2048, None, None, None]
    assert frame["series"][2] == {
        "metric": "network_receive_bytes_total",
        "labels": {"interface": "eth0"},
        "type": "network",
        "unit": "bytes",
        "kind": "counter",
        "value": 1e15 + 1,
        "rate": 2048,
    }


def test_what_else_happens_is_noted_once_and_apart() -> None:
    said: list[str] = []
    noted: list[str] = []
    lines = Lines(1, "web-1", say=said.append, note=noted.append)
    lines.connected()
    for state in (State.UP, State.UP, State.DOWN, State.DOWN, State.UP):
        lines.state(state)
    lines.selected(2)
    lines.selected(0)
    lines.selected(0)
    lines.event(Event(EventType.SERVER_DOWN, 1_785_430_324_000, 1, "web-1"))
    lines.event(Event(EventType.ALERT_FIRED, 1_785_430_324_000, 1, "web-1", 7, "CPU", "warning", "cpu_usage_ratio"))
    lines.gap(1_785_430_324_000, 1_785_430_325_000)
    lines.waiting(2.4, "The API server restarts.")
    lines.connected()
    assert said == []
    assert noted == [
        "web-1 is down.",
        "web-1 is up.",
        "web-1 sends none of these series at present.",
        "2026-07-30T16:52:04.000Z web-1: alert (warning): CPU",
        "Frames from 2026-07-30T16:52:04.000Z to 2026-07-30T16:52:05.000Z were not sent; the history has them.",
        "The API server restarts. Reconnecting in 3 s.",
        "Connected again.",
    ]
