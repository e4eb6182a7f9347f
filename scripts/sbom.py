"""What an installation consists of, with versions and licences: ``python -m scripts.sbom DIST`` (``make sbom``).

Installs both packages of the folder with their locked versions, as images do, and writes a CycloneDX file for each.
What the dashboard is made of is in ``licences.json``, which its build writes.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent


def describe(wheel: Path, lock: Path, into: Path) -> None:
    """Writes the file for one wheel."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [str(TOOLS / "uv"), "pip", "install", "--quiet", "--python", folder]
        subprocess.run([str(TOOLS / "uv"), "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run([*pip, "--require-hashes", "--requirement", str(lock)], check=True)
        subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
        # Without random and current values, so that only what has changed differs.
        command = [str(TOOLS / "cyclonedx-py"), "environment", "--output-reproducible", "--output-file", str(into)]
        subprocess.run([*command, str(Path(folder, "bin", "python"))], check=True)


def add_dashboard(wheel: Path, to: Path) -> None:
    """Adds the packages of which code is in the dashboard."""
    with zipfile.ZipFile(wheel) as archive:
        packages = json.loads(archive.read("bongsu/server/static/licences.json"))
    bom = json.loads(to.read_text())
    bom["components"] += [
        {
            "type": "library",
            "bom-ref": f"npm:{package['name']}@{package['version']}",
            "name": package["name"],
            "version": package["version"],
            "licenses": [{"license": {"name": package["licence"]}}],
            "purl": f"pkg:npm/{quote(package['name'])}@{package['version']}",
        }
        for package in packages
    ]
    to.write_text(json.dumps(bom, indent=2) + "\n")


def main(dist: Path) -> None:
    """Writes ``bongsu.cdx.json`` and ``bongsu-agent.cdx.json``."""
    for name, lock in (("bongsu", "server.lock"), ("bongsu-agent", "agent.lock")):
        (wheel,) = dist.glob(f"{name.replace('-', '_')}-*.whl")
        bom = dist / f"{name}.cdx.json"
        describe(wheel, ROOT / "deploy" / lock, bom)
        if name == "bongsu":
            add_dashboard(wheel, bom)
        print(bom)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
