"""What Lighthouse (https://developer.chrome.com/docs/lighthouse) says of the dashboard's pages: 0 to 100 for
performance, accessibility and best practices, as on a desktop. Median of several runs.

Starts an API server and ``bongsu simulate`` on core 0; Chromium may use both. Downloads Lighthouse on its first run.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from benchmarks.access import ENVIRONMENT
from benchmarks.fleet import wait_for_fleet
from benchmarks.ingest import running_server
from benchmarks.report import parser, report
from benchmarks.screen import BROWSERS, EMAIL, PASSWORD, admin
from benchmarks.widgets import on_server_core
from tests.support.processes import free_port

LIGHTHOUSE = "lighthouse@13.5.0"
NODE = Path(__file__).parents[1] / ".node" / "bin"
CATEGORIES = ("performance", "accessibility", "best-practices")
PAGES = {"login": "/login", "home": "/", "server": "/servers/1", "metrics": "/metrics", "alerts": "/alerts"}


def scores(url: str, port: int, file: Path) -> dict[str, float]:
    """The scores of one page, in the browser that listens on this port."""
    flags = [f"--port={port}", "--disable-storage-reset", "--preset=desktop", "--quiet"]
    flags += [f"--only-categories={','.join(CATEGORIES)}", "--output=json", f"--output-path={file}"]
    environment = os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["npx", "--yes", LIGHTHOUSE, url, *flags], env=environment, check=True, timeout=300)
    found = json.loads(file.read_text())["categories"]
    return {name.replace("-", "_"): 100 * float(found[name]["score"]) for name in CATEGORIES}


def measure(servers: int, runs: int) -> dict[str, float]:
    """One fleet; every page that many times."""
    os.environ |= ENVIRONMENT | {
        "BONGSU_ADMIN_EMAIL": EMAIL,
        "BONGSU_ADMIN_PASSWORD": PASSWORD,
        # All servers enrol from one address.
        "BONGSU_RATE_LIMITS__LOGIN": "1000000/minute",
    }
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-") as name, sync_playwright() as playwright:
        folder = Path(name)
        with running_server(folder) as (server_port, _), admin(server_port) as site:
            url = f"http://127.0.0.1:{server_port}"
            token = (
                site.post("/api/enrolment-tokens", json={"name": "bench", "uses": 0}).raise_for_status().json()["token"]
            )
            words = ["simulate", "--servers", str(servers), "--interval", "10s", "--url", url]
            with on_server_core(*words, "--data-dir", str(folder / "fleet"), BONGSU_SIMULATE_ENROLMENT_TOKEN=token):
                wait_for_fleet(site, servers)
                for page, path in PAGES.items():
                    for run in range(runs):
                        port = free_port()
                        # A new profile for each, so that nothing is in its cache.
                        context = playwright.chromium.launch_persistent_context(
                            str(folder / f"profile-{page}-{run}"),
                            executable_path=next(filter(None, map(shutil.which, BROWSERS)), None),
                            args=["--no-sandbox", f"--remote-debugging-port={port}"],
                            locale="en-GB",
                        )
                        if path != "/login":
                            context.request.post(f"{url}/api/auth/login", data={"email": EMAIL, "password": PASSWORD})
                        for figure, score in scores(url + path, port, folder / "report.json").items():
                            found[f"{page}_{figure}"].append(score)
                        context.close()
    return {"servers": float(servers)} | {figure: median(values) for figure, values in found.items()}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=50)
    arguments.add_argument("--runs", type=int, default=3)
    options = arguments.parse_args()
    report("lighthouse", measure(options.servers, options.runs), as_json=options.json)


if __name__ == "__main__":
    main()
