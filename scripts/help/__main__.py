"""Builds both languages and puts them into the package. Any warning of Sphinx is an error."""

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from scripts.help.inline import without_inline
from scripts.help.pages import stage
from scripts.static import install


def build(into: Path) -> int:
    """Replaces ``into`` by the English pages, with the Korean ones in ``ko``. Returns the exit status of Sphinx."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        for language, output in (("en", site), ("ko", site / "ko")):
            sources = Path(folder) / language
            stage(language, sources)
            arguments = ["-q", "-W", "--keep-going", "-n", "-E", "-c", str(Path(__file__).parent)]
            arguments += ["-D", f"language={language}", "-d", f"{folder}/doctrees-{language}"]
            if status := sphinx([*arguments, str(sources), str(output)]):
                return status
        for rest in ("_sources", "ko/_sources"):
            shutil.rmtree(site / rest, ignore_errors=True)
        for pattern in ("*.map", "objects.inv", ".buildinfo*"):
            for file in site.rglob(pattern):
                file.unlink()
        without_inline(site)
        install(site, into)
    return 0


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
