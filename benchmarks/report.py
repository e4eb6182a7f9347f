"""Prints the results of a benchmark: a table for people, or one JSON object."""

import argparse
import json
import os
import platform
import sys
from pathlib import Path


def machine() -> str:
    """CPU model and number of cores."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """A command line with ``--json``."""
    result = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    result.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return result


def report(name: str, results: dict[str, float], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": name, "machine": machine(), "results": results}))
        return
    width = max(map(len, results), default=0)
    print(f"{name}   ({machine()})")
    for figure, value in results.items():
        print(f"  {figure:<{width}}  {value:>14,.2f}" if value % 1 else f"  {figure:<{width}}  {value:>14,.0f}")
    sys.stdout.flush()
