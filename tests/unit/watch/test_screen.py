"""The screen of ``bongsu watch``."""

import io
import math

import pytest
from rich.console import Console

from bongsu.core.events import Event, EventType
from bongsu.core.series import Kind, Series
from bongsu.terminal.display import as_text
from bongsu.terminal.lines import cells
from bongsu.watch.frames import StreamFrame
from bongsu.watch.screen import Screen
from bongsu.wire.live import State

Reading = tuple[Series, float, float | None]


def gauge(metric: str, value: float, **labels: str) -> Reading:
    return (Series(metric, tuple(labels.items()), ""), value, None)


def counter(metric: str, rate: float, **labels: str) -> Reading:
    return (Series(metric, tuple(labels.items()), "bytes", Kind.COUNTER), 1e9, rate)


def a_host(mounts: int = 2, devices: int = 2, cores: int = 4) -> tuple[Reading, ...]:
    return (
        gauge("cpu_usage_ratio", 0.42),
        gauge("cpu_cores", cores),
        *(gauge("cpu_core_usage_ratio", 0.3, core=str(core)) for core in range(cores)),
        gauge("load_1m", 1.5),
        gauge("system_uptime_seconds", 93_784),
        gauge("memory_usage_ratio", 0.75),
        gauge("memory_total_bytes", 8e9),
        gauge("memory_available_bytes", 2e9),
        *(gauge("filesystem_usage_ratio", 0.95, mountpoint=f"/srv/자료-{n}") for n in range(mounts)),
        *(gauge("filesystem_total_bytes", 1e12, mountpoint=f"/srv/자료-{n}") for n in range(mounts)),
        *(counter("disk_read_bytes_total", 1e6, device=f"sd{n}") for n in range(devices)),
        *(counter("network_receive_bytes_total", 1e6, interface=f"eth{n}") for n in range(devices)),
        *(counter("network_transmit_bytes_total", math.nan, interface=f"eth{n}") for n in range(devices)),
    )


class Watched:
    """A screen, and a clock that a test sets."""

    def __init__(self, *, single: bool = False) -> None:
        self.now = 0.0
        self.screen = Screen("web-1", "http://127.0.0.1:8600", single=single, monotonic=lambda: self.now)

    def text(self, width: int = 80, height: int = 24) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self.screen.lines(width, height))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 12), (20, 5), (1, 1)])
@pytest.mark.parametrize(("mounts", "devices", "cores"), [(1, 1, 1), (30, 40, 128), (0, 0, 2)])
@pytest.mark.parametrize("single", [False, True])
def test_it_fits_every_terminal(width: int, height: int, mounts: int, devices: int, cores: int, single: bool) -> None:
    watched = Watched(single=single)
    watched.screen.state(State.UP)
    watched.screen.frame(StreamFrame(1_785_430_324_000, 10_000, a_host(mounts, devices, cores)))
    watched.screen.waiting(3, "a long reason " * 20)
    lines = watched.text(width, height).split("\n")
    assert len(lines) == height
    assert max(map(cells, lines)) <= width


def test_the_overview() -> None:
    watched = Watched()
    watched.screen.state(State.UP)
    assert "waiting for the first frame" in watched.text()
    watched.screen.frame(StreamFrame(1_785_430_324_000, 10_000, a_host()))
    text = watched.text()
    for part in (
        "web-1  ● up",
        "up 1d 2h",
        "load 1.50",
        "42.0 %",
        "4 cores",
        "95.0 %",
        "sd1",
        "eth1",
        "Ctrl-C",
    ):
        assert part in text
    assert "ago" not in text
    watched.now = 35
    assert "35s ago" in watched.text()


def test_what_is_not_measured_is_not_shown_as_zero() -> None:
    watched = Watched()
    watched.screen.frame(
        StreamFrame(1_000, 10_000, (gauge("memory_usage_ratio", 0.5), gauge("cpu_usage_ratio", math.nan)))
    )
    assert "Memory" in watched.text()
    assert "CPU" not in watched.text()
    assert "Net" not in watched.text()


def test_values_that_stay_away_disappear() -> None:
    watched = Watched()
    mounted = (gauge("filesystem_usage_ratio", 0.5, mountpoint="/mnt/stick"), gauge("cpu_usage_ratio", 0.1))
    watched.screen.frame(StreamFrame(0, 10_000, mounted))
    watched.screen.frame(StreamFrame(60_000, 10_000, (gauge("cpu_usage_ratio", 0.1),)))
    assert "/mnt/stick" in watched.text(), "its frame may be late"
    watched.screen.frame(StreamFrame(70_000, 10_000, (gauge("cpu_usage_ratio", 0.1),)))
    assert "/mnt/stick" not in watched.text()


def test_notices() -> None:
    watched = Watched()
    watched.screen.frame(StreamFrame(1_000, 10_000, a_host()))
    watched.screen.gap(1_000, 2_000)
    assert "was not sent; the history has it" in watched.text()
    watched.screen.event(
        Event(EventType.ALERT_FIRED, 1_785_430_324_000, 1, "web-1", 7, "CPU", "warning", "cpu_usage_ratio")
    )
    assert "alert (warning): CPU" in watched.text()
    watched.screen.waiting(2.5, "The API server restarts.")
    assert "reconnecting in 3 s: The API server restarts." in watched.text()
    watched.now = 1
    assert "reconnecting in 2 s" in watched.text()
    watched.now = 5
    assert "reconnecting: The API server restarts." in watched.text()
    watched.screen.connected()
    assert "reconnecting" not in watched.text()
    watched.screen.behind(True)
    assert "cannot see at present" in watched.text()
    watched.screen.behind(False)
    watched.screen.selected(0)
    assert "sends nothing at present" in watched.text()
    watched.screen.selected(1)
    watched.now = 61
    assert "was not sent" not in watched.text()


def test_single_metrics_are_a_table() -> None:
    watched = Watched(single=True)
    readings = tuple(counter("network_receive_bytes_total", 1024.0 * n, interface=f"eth{n}") for n in range(30))
    watched.screen.frame(StreamFrame(1_000, 10_000, readings))
    text = watched.text()
    assert 'network_receive_bytes_total{interface="eth0"}' in text
    assert "1.00 KiB/s" in text
    # 24 rows: 3 above, 1 below, 1 blank, and one that says how many are missing.
    assert "and 12 more" in text
    assert 'interface="eth29"' in watched.text(height=40)


def test_names_from_elsewhere_cannot_write_on_the_terminal() -> None:
    watched = Watched(single=True)
    watched.screen.frame(StreamFrame(1_000, 10_000, (gauge("a_ratio", 0.5, name="\x1b[2J\n"),)))
    assert "\x1b" not in watched.text()
    assert len(watched.text().split("\n")) == 24


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    watched.screen.state(State.DOWN)
    watched.screen.frame(StreamFrame(1_000, 10_000, a_host()))

    def printed() -> str:
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=80, height=24, color_system="standard")
        console.print(as_text(watched.screen.lines(80, 24)))
        return stream.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in printed()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in printed()
