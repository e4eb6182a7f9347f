"""Podman with real containers: storage, socket and image of its own, without a registry.

The image holds a shell and what its libraries need, copied from this machine.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_fakes import wait_for

IMAGE = "localhost/tiny:1.0"
_PROGRAMS = ("/bin/sh", "/bin/sleep", "/bin/dd", "/usr/bin/tail")


def _image(folder: Path) -> Path:
    root = folder / "root"
    files = {os.path.realpath(program): program for program in _PROGRAMS}
    for program in _PROGRAMS:
        output = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=10).stdout
        files |= {os.path.realpath(path): path for path in re.findall(r"(/\S+) \(0x", output)}
    for real, path in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(real, target)
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".")
    return archive


class Podman:
    """``command``: what the command line of each call begins with."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "podman.sock"
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=10000:10000"]\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        self._environment = os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf"), "TMPDIR": str(folder)}
        storage = ["--root", f"{folder}/storage", "--runroot", f"{folder}/run", "--storage-driver", "overlay"]
        self.command = ["podman", *storage, "--tmpdir", f"{folder}/libpod"]
        self._folder = folder
        self._service: subprocess.Popen[bytes] | None = None

    def __call__(self, *arguments: str, check: bool = True) -> str:
        completed = subprocess.run(
            [*self.command, *arguments],
            env=self._environment,
            cwd=self._folder,  # where the program beside each container leaves a file when memory runs out
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and completed.returncode:
            raise RuntimeError(f"podman {' '.join(arguments)}: {completed.stderr.strip()}")
        return completed.stdout.strip()

    def load(self) -> None:
        self("import", "--signature-policy", str(self._folder / "policy.json"), str(_image(self._folder)), IMAGE)

    def run(self, name: str, script: str, *options: str) -> str:
        """Starts a container with a shell script. Returns its id."""
        return self(
            "run", "--detach", "--name", name, "--network", "none", "--pull", "never", *options, IMAGE, "/bin/sh", "-c",
            script,
        )  # fmt: skip

    def inspect(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self("inspect", name))[0]
        return answer

    def start_service(self) -> None:
        """Its API at ``socket``."""
        self._service = subprocess.Popen(
            [*self.command, "system", "service", "--time", "0", f"unix://{self.socket}"],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers)

    def stop_service(self) -> None:
        if self._service is not None:
            self._service.terminate()
            self._service.wait(10)
            self._service = None
        self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(self.socket))
            return True
        return False


@contextlib.contextmanager
def running_podman() -> Iterator[Podman]:
    """Skips the test where containers cannot be started."""
    if os.geteuid() != 0 or not shutil.which("podman") or not shutil.which("runc"):
        pytest.skip("needs podman and runc, as root")
    # A short path: Podman takes 50 characters.
    folder = Path(tempfile.mkdtemp(prefix="bongsu-podman-"))
    podman = Podman(folder)
    try:
        podman.load()
        podman("run", "--rm", "--network", "none", IMAGE, "/bin/sh", "-c", ":")
    except (RuntimeError, subprocess.SubprocessError) as error:
        reason = str(error).splitlines()[-1]
        pytest.skip(f"podman cannot start a container here: {reason}")
    try:
        podman.start_service()
        yield podman
    finally:
        podman.stop_service()
        podman("rm", "--all", "--force", "--time", "0", check=False)
        podman("rmi", "--all", "--force", check=False)
        # Overlay leaves a mount, which would keep the folder from being deleted.
        subprocess.run(["umount", f"{folder}/storage/overlay"], capture_output=True, timeout=10, check=False)
        shutil.rmtree(folder, ignore_errors=True)
