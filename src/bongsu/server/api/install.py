"""/agent: the agent for other machines, served by the API server that it will send to, so that both always match.

Public, since it contains no secrets: the code of the agent, and a script that installs it. The enrolment token, which
the script reads but does not contain, decides who may send.
"""

import base64
import hashlib
import io
import re
import shlex
import zipfile
from functools import cache
from importlib.metadata import metadata
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

import bongsu
from bongsu import __version__
from bongsu.server.api.dependencies import services_of

router = APIRouter(prefix="/agent", include_in_schema=False)

WHEEL = f"bongsu-{__version__}-py3-none-any.whl"
# What `bongsu agent` needs, without the server.
PARTS = ("__init__.py", "cli.py", "core", "wire", "agent")
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


@router.get("/install.sh")
async def script(request: Request) -> Response:
    """The installation script for agents of this API server."""
    values = {
        "@SERVER@": shlex.quote(_address(request)),
        "@WHEEL@": WHEEL,
        "@SHA256@": hashlib.sha256(agent_wheel()).hexdigest(),
        "@UNIT@": (Path(bongsu.__file__).parent / "agent" / "bongsu-agent.service").read_text("utf-8").rstrip("\n"),
    }
    text = Path(__file__).with_name("install.sh").read_text("utf-8")
    for place, value in values.items():
        text = text.replace(place, value)
    return Response(text, media_type="text/x-shellscript; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get("/{name}")
async def wheel(name: str) -> Response:
    """The package of the agent, for pip."""
    if name != WHEEL:
        raise HTTPException(404, f"There is no /agent/{name}; this API server has {WHEEL}.")
    return Response(agent_wheel(), media_type="application/zip", headers={"Cache-Control": "no-cache"})


def _address(request: Request) -> str:
    configured = services_of(request).settings.public_url
    if configured:
        return configured.rstrip("/")
    host = request.headers.get("host", "")
    # It ends up in a script that runs as root, so nothing but a host name may pass.
    if not _HOST.fullmatch(host):
        raise HTTPException(400, "The Host header is not a host name.")
    return f"{request.url.scheme}://{host}"


@cache
def agent_wheel() -> bytes:
    """A wheel of the agent only; it requires psutil and PyYAML."""
    package = Path(bongsu.__file__).parent
    files: dict[str, bytes] = {}
    for part in PARTS:
        path = package / part
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            files[f"bongsu/{file.relative_to(package).as_posix()}"] = file.read_bytes()
    info = f"bongsu-{__version__}.dist-info"
    needs = [
        line
        for line in metadata("bongsu").get_all("Requires-Dist") or []
        if line.lower().startswith(("psutil", "pyyaml"))
    ]
    requires = "".join(f"Requires-Dist: {line}\n" for line in needs if "extra" not in line)
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: bongsu\nVersion: {__version__}\nRequires-Python: >=3.11\n{requires}"
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
