"""The pages: dashboard, help and documentation of the API, served from the package, with nothing from elsewhere."""

import base64
import contextlib
import hashlib
import re
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from bongsu.core.errors import NotFound
from bongsu.server.api.dependencies import services_of
from bongsu.server.api.shared import find_working_share
from bongsu.server.edge.headers import policy

FOLDER = Path(__file__).parent.parent / "static"
HELP = FOLDER.with_name("help")
_DOCUMENTATION = ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js")

SHARED_PAGES = ("shared", "status")

# Their names contain a hash of their content.
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
# The only style that the script of ReDoc 2.5 writes as text; a browser test fails if another version writes another.
_REDOC_STYLE = "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>Bongsu</title>
<body><h1>The dashboard is not built</h1>
<p>The API server runs. <code>make dashboard</code> builds the dashboard.</p>"""
_NO_HELP = """<!doctype html><meta charset="utf-8"><title>Bongsu</title>
<body><h1>The help is not built</h1><p><code>make docs</code> builds it.</p>"""


def install(app: FastAPI, base_path: str = "", folder: Path = FOLDER, help_folder: Path = HELP) -> None:
    """Adds /docs, /redoc, /help and, for every other path, the dashboard, with links below ``base_path``."""

    @app.get("/docs", include_in_schema=False)
    async def swagger_ui() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=f"{base_path}/api/openapi.json",
            title="Bongsu API",
            swagger_js_url=f"{base_path}/_docs/swagger-ui-bundle.js",
            swagger_css_url=f"{base_path}/_docs/swagger-ui.css",
            swagger_favicon_url=f"{base_path}/favicon.svg",
        )
        return _with_policy(page)

    @app.get("/redoc", include_in_schema=False)
    async def redoc() -> HTMLResponse:
        page = get_redoc_html(
            openapi_url=f"{base_path}/api/openapi.json",
            title="Bongsu API",
            redoc_js_url=f"{base_path}/_docs/redoc.standalone.js",
            redoc_favicon_url=f"{base_path}/favicon.svg",
            with_google_fonts=False,
        )
        return _with_policy(page, worker_src="blob:")

    @app.get("/_docs/{name}", include_in_schema=False)
    async def documentation(request: Request, name: str) -> Response:
        if name not in _DOCUMENTATION:
            raise HTTPException(404, f"There is no /_docs/{name}.")
        content = _documentation(name, base_path)
        return _content(request, content, _media_type(Path(name)))

    @app.get("/help", include_in_schema=False)
    @app.get("/help/{path:path}", include_in_schema=False)
    async def help_pages(request: Request, path: str = "") -> Response:
        file = _inside(help_folder, path)
        if file is not None and file.is_dir():
            # The links of a page are relative.
            if not request.url.path.endswith("/"):
                return RedirectResponse(f"{base_path}{request.url.path}/", 308)
            file /= "index.html"
        if not (help_folder / "index.html").is_file():
            return HTMLResponse(_NO_HELP, 503)
        if file is None or not file.is_file():
            raise HTTPException(404, f"There is no /help/{path}.")
        return _file(request, file)

    # HEAD, with which monitors ask whether a status page answers.
    @app.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def dashboard(request: Request, path: str) -> Response:
        if path == "api" or path.startswith("api/"):
            raise HTTPException(404, f"There is no /{path}.")
        file = _inside(folder, path)
        if file is not None and file.is_file():
            return _page(request, file, base_path) if file.suffix == ".html" else _file(request, file)
        # Any other path is a page of the dashboard, except a file that does not exist.
        if "." in path.rpartition("/")[2] or path.startswith("_nuxt/"):
            raise HTTPException(404, f"There is no /{path}.")
        index = folder / "index.html"
        if not index.is_file():
            return HTMLResponse(_NOT_BUILT, 503)
        response = _page(request, index, base_path)
        if origins := await _embedding_origins(request, path):
            response.headers["Content-Security-Policy"] = policy(frame_ancestors=" ".join(origins)).decode()
        return response


async def _embedding_origins(request: Request, path: str) -> Sequence[str]:
    """The sites that may embed a page: none, unless it is a shared dashboard whose link allows some."""
    page, _, key = path.partition("/")
    if page not in SHARED_PAGES or not key:
        return ()
    with contextlib.suppress(NotFound):
        share, _, _ = await find_working_share(services_of(request), key)
        return share.origins
    return ()


def _with_policy(page: HTMLResponse, **changed: str) -> HTMLResponse:
    """Allows exactly the scripts and styles that FastAPI writes into the page, by their hash."""
    html = bytes(page.body)
    page.headers["Content-Security-Policy"] = policy(
        script_src=" ".join(["'self'", *_hashes(b"script", html)]),
        # And an empty <style>, which ReDoc fills by script, rule by rule.
        style_src=" ".join(["'self'", *_hashes(b"style", html), _hash(b""), _REDOC_STYLE]),
        **changed,
    ).decode()
    return page


def _hashes(tag: bytes, html: bytes) -> list[str]:
    return [_hash(content) for content in re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), html, re.DOTALL)]


def _hash(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


@cache
def _documentation(name: str, base_path: str) -> bytes:
    """A file of Swagger UI or ReDoc."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise HTTPException(404, f"There is no /_docs/{name}.")
    content = (Path(package.origin).parent / "static" / name).read_bytes()
    # The only thing that ReDoc would load from the network.
    return content.replace(b"https://cdn.redoc.ly/redoc/logo-mini.svg", f"{base_path}/favicon.svg".encode())


def _inside(folder: Path, path: str) -> Path | None:
    """The file of a URL path; None outside of ``folder``."""
    if "\0" in path:
        return None
    file = (folder / path).resolve()
    return file if file.is_relative_to(folder.resolve()) else None


def _page(request: Request, file: Path, base_path: str) -> Response:
    """A page of the dashboard, whose links to files begin with ``base_path``."""
    if not base_path:
        return _file(request, file)
    content = file.read_text("utf-8").replace('="/', f'="{base_path}/').encode()
    return _content(request, content, _media_type(file))


def _content(request: Request, content: bytes, media_type: str) -> Response:
    headers = {"Cache-Control": _REVALIDATE, "ETag": f'"{zlib.crc32(content):08x}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


def _file(request: Request, file: Path) -> Response:
    headers = {"Cache-Control": _IMMUTABLE if "_nuxt" in file.parts else _REVALIDATE, "Vary": "Accept-Encoding"}
    packed = file.with_name(file.name + ".gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        response = FileResponse(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=_media_type(file))
    else:
        response = FileResponse(file, headers=headers, media_type=_media_type(file))
    response.set_stat_headers(response.stat_result or (packed if response.path == packed else file).stat())
    if request.headers.get("if-none-match") == response.headers["etag"]:
        return Response(status_code=304, headers={"ETag": response.headers["etag"], **headers})
    return response


_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".ico": "image/x-icon",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}


def _media_type(file: Path) -> str:
    # Not from the registry of the machine: on some Windows machines it calls JavaScript plain text.
    return _MEDIA_TYPES.get(file.suffix, "application/octet-stream")
