"""`/logs/`: the files of the machine's log folder, for reading.

Follows: pkg/kubelet/kubelet.go ServeLogs
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from nodeagent.server.answers import Refusal

FOLDER = Path("/var/log")


class SystemLogs:
    """Serves one folder; nothing outside it by any path, and only plain files."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info.get("path", "")
        if ".." in path.split("/"):
            raise Refusal(400, "path traversal is not allowed\n")
        target = self._folder / path.lstrip("/")
        if target.is_dir():
            return web.Response(text=_listing(target), content_type="text/html")
        if not target.is_file():
            raise Refusal(404, "404 page not found\n")
        return web.FileResponse(target, headers={"Content-Type": "text/plain; charset=utf-8"})


def _listing(folder: Path) -> str:
    lines = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = entry.name + ("/" if entry.is_dir() else "")
        lines.append(f'<a href="{quote(name)}">{escape(name)}</a>\n')
    return f"<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n{''.join(lines)}</pre>\n"
