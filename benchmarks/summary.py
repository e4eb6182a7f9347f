"""What the results of all benchmarks say beside others: charts, and a report in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.plots import Bar, bars, number

# Benchmark -> figure -> value.
Results = Mapping[str, Mapping[str, float]]
NAMES = {
    "bongsu": "Bongsu",
    "victoria_metrics": "VictoriaMetrics",
    "prometheus": "Prometheus",
    "influxdb": "InfluxDB",
    "agent": "Bongsu agent",
    "node_exporter": "node_exporter",
    "netdata": "netdata",
    "glances": "glances",
}
_RANGES = {
    "1_series_1_hour": "1 series, 1 h",
    "1_series_24_hours": "1 series, 24 h",
    "1_series_7_days": "1 series, 7 d",
    "average_of_all_24_hours": "20 servers, 24 h",
}
_STORES = ("bongsu", "victoria_metrics", "prometheus", "influxdb")
_COLLECTORS = ("agent", "node_exporter", "netdata", "glances")


@dataclass(frozen=True, slots=True)
class Chart:
    """``rows``: group, whose figure, and where it is: benchmark and figure."""

    name: str
    title: str
    unit: str
    rows: Sequence[tuple[str, str, str, str]]

    def bars(self, results: Results) -> list[Bar]:
        """The bars of the figures that were measured."""
        return [
            Bar(NAMES[whose], results[benchmark][figure], whose in ("bongsu", "agent"), group)
            for group, whose, benchmark, figure in self.rows
            if figure in results.get(benchmark, {})
        ]

    def svg(self, results: Results) -> str:
        """The chart; empty without figures."""
        found = self.bars(results)
        return bars(self.title, self.unit, found) if found else ""


CHARTS = (
    Chart(
        "writing",
        "Samples by remote write (InfluxDB: its own lines), 500 a request, one core",
        "samples/s",
        [("", who, "standards", f"{who}.samples_per_second") for who in _STORES],
    ),
    Chart(
        "reading",
        "Reading history over HTTP, one core, median",
        "ms",
        [
            (label, who, "reading", f"{kind}.{who}_p50_ms")
            for kind, label in _RANGES.items()
            for who in ("bongsu", "victoria_metrics")
        ],
    ),
    Chart(
        "promql",
        "PromQL over 1,000 series and an hour, one core, median",
        "ms",
        [
            (f"{query}, {targets:,} targets", who, "promql", f"{who}.{targets}_targets.{figure}_ms")
            for query, figure in (("rate", "rate"), ("sum(rate)", "sum_rate"))
            for targets in (10, 1_000)
            for who in ("bongsu", "prometheus", "victoria_metrics")
        ],
    ),
    Chart(
        "collectors-cpu",
        "A collector that looks every 10 s: CPU",
        "% of a core",
        [("", who, "agent", f"{who}_10s_cpu_percent") for who in _COLLECTORS],
    ),
    Chart(
        "collectors-memory",
        "A collector that looks every 10 s: memory (RSS)",
        "MB",
        [("", who, "agent", f"{who}_10s_rss_mb") for who in _COLLECTORS],
    ),
)


def report(results: Results, about: Mapping[str, str], failed: Mapping[str, str], plots: Sequence[str]) -> str:
    """The report. ``about``: the machine and versions; ``failed``: benchmark -> why; ``plots``: names of the charts
    that were drawn."""
    lines = ["# Report of `make bench`", ""]
    lines += [f"- {name}: {text}" for name, text in about.items()]
    lines += ["", "Repeat it with `make bench`. Each benchmark's own file says what its figures mean,"]
    lines += ["[docs/benchmarks.md](../docs/benchmarks.md) what they were over time.", ""]
    if failed:
        lines += ["## Not measured", "", *(f"- {name}: {why}" for name, why in failed.items()), ""]
    if plots:
        lines += ["## Beside others", "", "The same data, the same core, the same run.", ""]
        for chart in CHARTS:
            if chart.name in plots:
                alternative = "; ".join(
                    f"{bar.group + ', ' if bar.group else ''}{bar.label}: {number(bar.value)}"
                    for bar in chart.bars(results)
                )
                lines += [f"![{chart.title} ({chart.unit}): {alternative}](plots/{chart.name}.svg)", ""]
    lines += ["## All figures", ""]
    for benchmark, figures in results.items():
        lines += [f"### {benchmark}", "", "| figure | value |", "| --- | ---: |"]
        lines += [f"| `{figure}` | {_exact(value)} |" for figure, value in figures.items()]
        lines.append("")
    return "\n".join(lines)


def _exact(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.4g}"
