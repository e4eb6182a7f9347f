"""The report of all benchmarks: what was measured is there, and what was not is said."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.plots import Bar, bars, number
from benchmarks.summary import CHARTS, report

RESULTS = {
    "standards": {"bongsu.samples_per_second": 492_000.0, "prometheus.samples_per_second": 300_000.0},
    "reading": {"1_series_1_hour.bongsu_p50_ms": 0.75},
}
SVG = "{http://www.w3.org/2000/svg}"


def test_a_chart_has_a_bar_for_each_figure_as_long_as_it_says() -> None:
    drawing = ElementTree.fromstring(bars("Speed & size", "ms", [Bar("a", 4.0, True), Bar("b <x>", 1.0, False)]))
    first, second = drawing.iter(f"{SVG}rect")
    assert float(first.attrib["width"]) == pytest.approx(4 * float(second.attrib["width"]), rel=0.01)
    assert [first.attrib["class"], second.attrib["class"]] == ["own", "other"]
    texts = [text.text for text in drawing.iter(f"{SVG}text")]
    assert texts == ["Speed & size", "ms", "a", "4", "b <x>", "1"]


def test_each_group_has_its_own_scale() -> None:
    found = [Bar("a", 1.0, True, "first"), Bar("b", 1000.0, True, "second")]
    widths = {rect.attrib["width"] for rect in ElementTree.fromstring(bars("t", "u", found)).iter(f"{SVG}rect")}
    assert len(widths) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(1_234_567, "1.23 M"), (492_100, "492 k"), (1_234, "1,234"), (0.0405, "0.0405"), (12.34, "12.3")],
)
def test_figures_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_only_what_was_measured_is_drawn() -> None:
    drawn = {chart.name: len(chart.bars(RESULTS)) for chart in CHARTS if chart.svg(RESULTS)}
    assert drawn == {"writing": 2, "reading": 1}


def test_the_report_tells_figures_charts_and_failures() -> None:
    text = report(RESULTS, {"Machine": "2 x Thing"}, {"screen": "exit status 1: no chromium"}, ["writing"])
    assert "- Machine: 2 x Thing" in text
    assert "- screen: exit status 1: no chromium" in text
    assert "Bongsu: 492 k; Prometheus: 300 k](plots/writing.svg)" in text
    assert "plots/reading.svg" not in text
    assert "| `1_series_1_hour.bongsu_p50_ms` | 0.75 |" in text


def test_a_benchmark_that_fails_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"standards": (RESULTS["standards"], ""), "screen": ({}, "no chromium")}
    monkeypatch.setattr(benchmarks, "run", answers.get)
    words = ["benchmarks", "--only", "screen,standards", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    assert benchmarks.main() == 1
    assert "no chromium" in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text())["results"] == {"standards": RESULTS["standards"]}
    assert "no chromium" in (tmp_path / "report.md").read_text()
    assert ElementTree.parse(tmp_path / "plots" / "writing.svg").getroot().tag == f"{SVG}svg"


def test_why_a_benchmark_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmarks.RUNS, "nothing", ())
    figures, why = benchmarks.run("nothing")
    assert figures == {}
    assert "exit status 1" in why
    assert "No module named benchmarks.nothing" in why
