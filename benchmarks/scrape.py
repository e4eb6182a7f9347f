"""What scraping costs an agent: reading pages, and the memory of their series.

``python -m benchmarks.scrape [--json] [--seconds 3]``

Two pages are read again and again, as in steady state, from the bytes of the answer to packed frames: that of Debian's
node_exporter, if it is installed, half of which is comments, and one of 9,000 series of a single counter. The first
read, which parses each line in full, is timed apart. Time is that of the CPU. Memory is what Python holds after reads
of ten such targets, divided by their series.
"""

import contextlib
import shutil
import subprocess
import time
import tracemalloc
import urllib.error
import urllib.request

from benchmarks.ingest import free_port
from benchmarks.report import parser, report
from bongsu.agent.scrape.page import Page, PageRules
from bongsu.agent.scrape.table import Table
from bongsu.agent.scrape.text_format import Families

SERIES = 9_000
TARGETS = 10
SAMPLE_LIMIT = 10_000
PIECE_BYTES = 65_536


class Reader:
    """Reads the pages of one target."""

    def __init__(self, instance: str) -> None:
        self._table = Table(SAMPLE_LIMIT)
        self._families = Families()
        self._rules = PageRules({"job": "benchmark", "instance": instance}, sample_limit=SAMPLE_LIMIT)

    def read(self, body: bytes) -> int:
        """Reads a page and makes its frames. Returns how many samples it has."""
        page = Page(self._table, self._families, self._rules)
        for start in range(0, len(body), PIECE_BYTES):
            page.feed(body[start : start + PIECE_BYTES])
        page.end()
        self._table.frames(page.found, 1, complete=True)
        return page.samples


def node_exporter_page() -> bytes | None:
    """A page of node_exporter, or None without it."""
    program = shutil.which("prometheus-node-exporter")
    if program is None:
        return None
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [program, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(urllib.error.URLError),
                urllib.request.urlopen(f"http://{address}/metrics") as page,
            ):
                body: bytes = page.read()
                return body
            time.sleep(0.1)
        raise RuntimeError("node_exporter did not start")
    finally:
        process.terminate()
        process.wait()


def counter_page() -> bytes:
    """A page of one counter with many series."""
    lines = [f'http_requests_total{{path="/api/{number}",method="GET"}} {number * 7}\n' for number in range(SERIES)]
    return "".join(["# TYPE http_requests_total counter\n", *lines]).encode()


def measured(body: bytes, seconds: float) -> dict[str, float]:
    """Speed and memory for one page."""
    reader = Reader("speed")
    began = time.process_time()
    samples = reader.read(body)
    first = time.process_time() - began
    reads = 0
    began = time.process_time()
    while time.process_time() - began < seconds:
        reader.read(body)
        reads += 1
    rate = samples * reads / (time.process_time() - began)
    tracemalloc.start()
    readers = [Reader(f"instance-{number}") for number in range(TARGETS)]
    for each in readers:
        each.read(body)
        each.read(body)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "samples": samples,
        "first_read_ms": first * 1_000,
        "samples_per_second": rate,
        "bytes_per_series": held / (samples * len(readers)),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=3)
    options = arguments.parse_args()
    pages = {"node_exporter": node_exporter_page(), "counter": counter_page()}
    results = {
        f"{name}.{figure}": value
        for name, body in pages.items()
        if body is not None
        for figure, value in measured(body, options.seconds).items()
    }
    report("scrape", results, as_json=options.json)


if __name__ == "__main__":
    main()
