"""The Studio at `/`: a folder of static files with honest caching, or a word on how to build it.

Knows one thing of the build: what lies under `_next/static/` has a hash of its content in its name.
"""

import hashlib
import mimetypes
import os
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from evoxtral.server.problems import Problem

YEAR_S = 365 * 24 * 3600

NOT_BUILT = "This server runs without the Studio: its page was not built."
NOT_BUILT_HINT = "run `make studio` in a checkout of the project, or install a released wheel; the API is at /docs"
NOT_BUILT_PAGE = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Evoxtral</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{{font:1.1rem/1.6 system-ui;max-width:40rem;margin:15vh auto;padding:0 1.5rem}}</style>
<h1>No Studio here</h1><p>{NOT_BUILT}</p>
<p>Run <code>make studio</code> in a checkout of the project, or install a released wheel.
The API is documented at <a href="/docs">/docs</a>.</p></html>"""


class StudioFiles(StaticFiles):
    """Static files: hashed ones are kept by the browser for good, the others are asked for anew each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        if "/_next/static/" in Path(full_path).as_posix():
            response = super().file_response(full_path, stat_result, scope, status_code)
            response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
            return response
        # By content, not by date and size as usual: pages of two versions may have the same size, and
        # reproducible images give every file the same date.
        content = Path(full_path).read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Cache-Control": "no-cache"}
        media_type = mimetypes.guess_type(full_path)[0]
        response = Response(content, status_code, headers, media_type)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def paths(folder: Path) -> frozenset[str]:
    """The paths of the page and its files; `/` also where it was not built. They are the same for everybody."""
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return frozenset({"/", *(f"/{file}" for file in files)})


def mount(app: FastAPI, folder: Path) -> None:
    """Answer every path that no router took: from `folder`, or where that was not built with what to do."""
    if (folder / "index.html").is_file():
        app.mount("/", StudioFiles(directory=folder, html=True), name="studio")
        return

    @app.get("/", include_in_schema=False)
    async def not_built(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(NOT_BUILT_PAGE, HTTPStatus.NOT_FOUND)
        raise Problem(HTTPStatus.NOT_FOUND, NOT_BUILT, NOT_BUILT_HINT)
