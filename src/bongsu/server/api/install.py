"""/agent: the agent for other machines, served by the API server that it will send to, so that both always match.

Public, since it contains no secrets: the code of the agent, and a script that installs it. The enrolment token, which
the script reads but does not contain, decides who may send.
"""

import hashlib
import re
import shlex
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

import bongsu
from bongsu.server.agent_package import WHEEL, agent_wheel
from bongsu.server.api.dependencies import services_of

router = APIRouter(prefix="/agent", include_in_schema=False)

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
        return configured
    host = request.headers.get("host", "")
    # It ends up in a script that runs as root, so nothing but a host name may pass.
    if not _HOST.fullmatch(host):
        raise HTTPException(400, "The Host header is not a host name.")
    return f"{request.url.scheme}://{host}"
