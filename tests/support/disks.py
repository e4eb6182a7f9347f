"""A small disk of its own, which a test can fill and break. Needs root and Linux: others skip the test."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SIZE_BYTES = 48 * 1024 * 1024


class Disk:
    """An ext4 file system in a file. ``path``: where it is mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Takes all space that is left, down to the last block."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 4_096):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size) == size:
                        continue

    def make_room(self) -> None:
        """Gives the space back."""
        self._ballast.unlink()

    def fail(self) -> None:
        """What ext4 does after an error of the device: it is read-only from now on, also for files that are open."""
        subprocess.run(["mount", "-o", "remount,abort", str(self.path)], check=True, capture_output=True)

    def replace(self) -> None:
        """Unmounts it, and mounts it again so that it can be written."""
        subprocess.run(["umount", str(self.path)], check=True, capture_output=True)
        _mount(self.path)


def _image(path: Path) -> Path:
    return path.with_name(path.name + ".img")


def _mount(path: Path) -> None:
    subprocess.run(["mount", "-o", "loop", str(_image(path)), str(path)], check=True, capture_output=True)


@contextlib.contextmanager
def disk(path: Path) -> Iterator[Disk]:
    """Mounts an empty disk at ``path``, which must not exist."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("only root can mount a disk, which needs mkfs.ext4")
    path.mkdir()
    with _image(path).open("wb") as file:
        file.truncate(SIZE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(_image(path))], check=True, capture_output=True)
    try:
        _mount(path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no disk can be mounted here: {error.stderr.decode().strip()}")
    try:
        yield Disk(path)
    finally:
        # Lazily: a process that still has files open there must not keep the mount.
        subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)
        _image(path).unlink()
