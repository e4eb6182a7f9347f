"""The package ``bongsu-agent``: the agent without the server, made of the installed code. Needs no other package.

The API server gives it to the machines that it monitors, and ``make wheel`` writes the same file, byte for byte.
"""

import base64
import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

import bongsu
from bongsu import __version__

WHEEL = f"bongsu_agent-{__version__}-py3-none-any.whl"
PARTS = ("__init__.py", "py.typed", "cli.py", "core", "wire", "terminal", "agent")
# As in pyproject.toml, which a test compares.
REQUIREMENTS = ("psutil>=7.1", "PyYAML>=6.0.2")
_SUFFIXES = (".py", ".service")


@cache
def agent_wheel() -> bytes:
    """The wheel."""
    package = Path(bongsu.__file__).parent
    files: dict[str, bytes] = {}
    for part in PARTS:
        path = package / part
        found = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
        for file in found:
            # The same bytes from a checkout that has the line ends of Windows.
            content = file.read_bytes().replace(b"\r\n", b"\n")
            files[f"bongsu/{file.relative_to(package).as_posix()}"] = content
    info = f"bongsu_agent-{__version__}.dist-info"
    requires = "".join(f"Requires-Dist: {requirement}\n" for requirement in REQUIREMENTS)
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.4\nName: bongsu-agent\nVersion: {__version__}\n"
        "Summary: The agent of Bongsu, which monitors servers.\nLicense-Expression: Apache-2.0\n"
        f"Requires-Python: >=3.11\n{requires}"
    ).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: bongsu\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nbongsu = bongsu.cli:main\n"
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return wheel.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
