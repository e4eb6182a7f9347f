"""Makes the root of an image: Python, an environment with Bongsu, the libraries that they load, and nothing else.

``python3 rootfs.py ENVIRONMENT INTO`` runs in the stage that has installed the environment. There is no shell and no
package manager in the result: the agent would be 150 MB with them, and what is not there needs no update.
"""

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

USER, ID = "bongsu", 10001
# Folders of the standard library that no part of Bongsu imports, and files that only compilers and people read.
UNUSED = {
    "__pycache__",
    "test",
    "tests",
    "testing",
    "f2py",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "pydoc_data",
    "include",
    "src",
}
UNREAD = {".a", ".h", ".hpp", ".pxd", ".pxi", ".pyx", ".pyi", ".cc", ".exe", ".pdb"}
NOT_COPIED = {"site-packages", "dist-packages"}
# Parts of Pillow that Bongsu does not use: it draws PNG. And what only the tests of Python and numpy load.
UNUSED_MODULES = re.compile(r"(_avif|_webp|_imagingcms|_imagingtk|_simd|_test\w*|_\w+_tests)\..*so")
# rich colours program code with it.
UNUSED_PACKAGES = {"pygments"}
# Packages of which the source stays: ours, for tracebacks, and one that looks for its modules by the names of files.
WITH_SOURCE = {"bongsu", "apprise"}
# /run/bongsu: where the API server and the agent of one machine share a file (compose.yml).
FOLDERS = (
    ("tmp", 0o1777, 0),
    ("etc/bongsu", 0o755, 0),
    ("run/bongsu", 0o700, ID),
    ("var/lib/bongsu", 0o700, ID),
)
ELSEWHERE = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/os-release",
    "/etc/services",
    "/etc/protocols",
)


def unused(folder: str, names: list[str]) -> set[str]:
    """What ``shutil.copytree`` leaves out."""
    left_out = {name for name in names if name in UNUSED or Path(name).suffix in UNREAD}
    left_out |= {name for name in names if UNUSED_MODULES.fullmatch(name)}
    if folder == sysconfig.get_path("stdlib"):
        left_out |= {name for name in names if name in NOT_COPIED or name.startswith("config-")}
    if Path(folder).name == "site-packages":
        left_out |= UNUSED_PACKAGES
    return left_out


def libraries(file: Path) -> set[str]:
    """The libraries that a program or library needs, by the loader's account. Empty for what is none."""
    with file.open("rb") as content:
        if content.read(4) != b"\x7fELF":
            return set()
    told = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout  # noqa: S607
    return {os.path.normpath(name) for name in re.findall(r"(?:=> )?(/\S+) \(0x", told)}


def strip(site: Path) -> None:
    """Removes what only debuggers read: 40 MB, most of it of uvloop, asyncpg and SQLAlchemy."""
    for file in site.rglob("*.so"):
        # Packages with libraries of their own had their files patched, which strip does not expect.
        if not (site / f"{file.relative_to(site).parts[0]}.libs").exists():
            subprocess.run(["strip", "--strip-unneeded", file], check=True)  # noqa: S607


def compile_python(into: Path, stdlib: Path, site: Path) -> None:
    """Compiles everything, since the root of a container is read-only. Of libraries nothing else is kept: their sources
    would be 33 MB, for a line of text in tracebacks, which name file and line without them."""
    compileall.compile_dir(stdlib, quiet=1, stripdir=into)
    for file in sorted(site.rglob("*.py")):
        with_source = file.relative_to(site).parts[0] in WITH_SOURCE
        if compileall.compile_file(file, quiet=1, stripdir=into, legacy=not with_source) and not with_source:
            file.unlink()


def copy_file(path: str, into: Path) -> None:
    """Copies a file to the same place, with what its folders are links to."""
    place = into / path.lstrip("/")
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)


def name_packages(files: Iterable[str], into: Path) -> None:
    """Writes which packages of Debian the files are of, where scanners look for it (as in Distroless)."""
    told = subprocess.run(
        ["dpkg-query", "--search", *{str(Path(file).resolve()) for file in files}],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,  # what is of no package is told on standard error
    ).stdout
    place = into / "var/lib/dpkg/status.d"
    place.mkdir(parents=True)
    for name in {line.partition(":")[0] for line in told.splitlines()}:
        status = subprocess.run(["dpkg-query", "--status", name], capture_output=True, text=True, check=True)  # noqa: S607
        (place / name).write_text(status.stdout)


def link_like_the_base(into: Path) -> None:
    """/lib and others are links into /usr, as in the base image."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            target = os.readlink(Path("/", name))
            (into / name).symlink_to(target)
            (into / target.lstrip("/")).mkdir(parents=True, exist_ok=True)


def main(environment: str, into: Path) -> None:
    """Fills ``into``."""
    into.mkdir()
    link_like_the_base(into)
    python = Path(environment, "bin", "python").resolve()
    stdlib = sysconfig.get_path("stdlib")
    for folder in (stdlib, environment):
        shutil.copytree(folder, into / folder.lstrip("/"), symlinks=True, ignore=unused, dirs_exist_ok=True)
    (site,) = into.glob(f"{environment.lstrip('/')}/lib/python3*/site-packages")
    strip(site)
    copy_file(str(python), into)
    # What the environment calls Python may be a link to it.
    for name in ("python", "python3"):
        link = Path(os.readlink(Path(environment, "bin", name)))
        if link.is_absolute() and link != python:
            place = into / link.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(python)
    files = [path for path in into.rglob("*") if path.is_file() and not path.is_symlink()]
    own = {path for path in files if path.parent.suffix == ".libs"}
    needed = {file for path in files if path not in own for file in libraries(path)}
    for file in own:
        if str(file) not in needed:
            file.unlink()
    # Loaded by name when a thread ends.
    needed |= {str(path) for path in Path("/").glob("usr/lib/*/libgcc_s.so.1")}
    compile_python(into, into / stdlib.lstrip("/"), site)
    for file in sorted(needed):
        if not file.startswith((str(into), environment)):
            copy_file(file, into)
    for path in map(Path, ELSEWHERE):
        if path.is_dir():
            shutil.copytree(
                path, into / str(path).lstrip("/"), symlinks=True, ignore=shutil.ignore_patterns("right", "posix")
            )
        elif path.is_file():
            copy_file(str(path), into)
    name_packages([*needed, str(python), *ELSEWHERE], into)
    (into / "etc/passwd").write_text(f"root:x:0:0::/:/\n{USER}:x:{ID}:{ID}::/var/lib/bongsu:/\n")
    (into / "etc/group").write_text(f"root:x:0:\n{USER}:x:{ID}:\n")
    for folder, mode, owner in FOLDERS:
        (into / folder).mkdir(parents=True)
        (into / folder).chmod(mode)
        os.chown(into / folder, owner, owner)
    for folder in ("proc", "sys", "dev"):
        (into / folder).mkdir()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
