"""Runs the benchmarks one after the other, and writes what they found: ``results.json``, ``report.md`` and charts.

``python -m benchmarks [--only ingest,reading] [--install] [--folder benchmarks]``. Peers that are not installed are
left out; ``--install`` has apt-get install them first (Debian, as root). A benchmark that fails costs only itself: the
report says so, and the exit status is 1. What else the machine does meanwhile is in the figures.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.agent_peers import GLANCES, NETDATA, NODE_EXPORTER
from benchmarks.peers import INFLUXDB, PROMETHEUS, VICTORIA_METRICS
from benchmarks.report import machine
from benchmarks.summary import CHARTS, report
from bongsu import __version__

# Benchmark -> its arguments. Those of ``summary.py`` with peers also measure others.
RUNS: dict[str, tuple[str, ...]] = {
    "standards": (),
    "reading": (),
    "promql": ("--times", "5"),
    "agent": (),
    "ingest": (),
    "everything": (),
    "fleet": ("--seconds", "60"),
    "storage": ("--servers", "100"),
    "stalls": (),
    "streaming": (),
    "alerts": (),
    "retention": (),
    "scrape": (),
    "footprint": (),
    "screen": (),
    "several": (),
    "dashboard": (),
    "widgets": (),
}
# Program -> Debian's package.
PEERS = {
    PROMETHEUS: "prometheus",
    VICTORIA_METRICS: "victoria-metrics",
    INFLUXDB: "influxdb",
    NODE_EXPORTER: "prometheus-node-exporter",
    NETDATA: "netdata",
    GLANCES: "glances",
}
MOST_SECONDS = 1_800


def install() -> None:
    """Installs the peers that are missing, without what they recommend."""
    missing = [package for program, package in PEERS.items() if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit("--install needs apt-get and root; leave it out to measure what is there.")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update",), ("install", "-y", "--no-install-recommends", *missing)):
        subprocess.run(["apt-get", "-qq", *words], check=True, env=environment, stdout=subprocess.DEVNULL)


def run(name: str) -> tuple[dict[str, float], str]:
    """The figures of one benchmark, or why there are none."""
    words = [sys.executable, "-m", f"benchmarks.{name}", "--json", *RUNS[name]]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {}, f"it took longer than {MOST_SECONDS} s"
    for line in reversed(done.stdout.splitlines()):
        if line.startswith('{"name"'):
            return dict(json.loads(line)["results"]), ""
    said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
    return {}, f"exit status {done.returncode}: {said[-1][:200]}"


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description="Runs the benchmarks.")
    arguments.add_argument("--only", default=",".join(RUNS), help="names, with commas between them")
    arguments.add_argument("--install", action="store_true", help="install what is compared with (Debian, as root)")
    arguments.add_argument("--folder", type=Path, default=Path(__file__).parent, help="where to write the report")
    options = arguments.parse_args()
    names = [name for name in options.only.split(",") if name]
    if unknown := [name for name in names if name not in RUNS]:
        arguments.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(RUNS)}")
    if options.install:
        install()
    began = time.monotonic()
    results: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    for name in names:
        print(f"{name} ...", end=" ", flush=True)
        start = time.monotonic()
        figures, why = run(name)
        print(why or f"{len(figures)} figures", f"({time.monotonic() - start:.0f} s)", flush=True)
        if why:
            failed[name] = why
        else:
            results[name] = figures
    about = {
        "Bongsu": __version__,
        "Machine": machine(),
        "When": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Load of the machine at the end": f"{os.getloadavg()[0]:.1f}",
        "It took": f"{(time.monotonic() - began) / 60:.0f} minutes",
        "Compared with": ", ".join(program for program in PEERS if shutil.which(program))
        or "nothing: none is installed",
    }
    plots = options.folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    drawn = []
    for chart in CHARTS:
        if svg := chart.svg(results):
            (plots / f"{chart.name}.svg").write_text(svg)
            drawn.append(chart.name)
    (options.folder / "results.json").write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    (options.folder / "report.md").write_text(report(results, about, failed, drawn))
    print(f"written: {options.folder / 'report.md'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
