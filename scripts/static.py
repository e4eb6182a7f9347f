"""Puts the built dashboard into the package: ``python -m scripts.static PUBLIC INTO``.

Text is stored gzipped as well, so that the API server never compresses a file.
"""

import gzip
import shutil
import sys
from pathlib import Path

TEXT = {".html", ".js", ".mjs", ".css", ".json", ".svg", ".webmanifest", ".txt", ".map"}


def install(public: Path, into: Path) -> None:
    """Replaces the folder ``into`` in one step, so that a running API server never sees half of it."""
    fresh = into.with_name(into.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(public, fresh)
    for file in sorted(fresh.rglob("*")):
        if file.is_file() and file.suffix in TEXT:
            packed = gzip.compress(file.read_bytes(), 9, mtime=0)
            file.with_name(file.name + ".gz").write_bytes(packed)
    shutil.rmtree(into, ignore_errors=True)
    fresh.rename(into)


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]))
