"""What is not a page: the vendored and own static files."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from fastapi import HTTPException, Request
from fastapi.responses import Response

from dashboards.shell import Shell

_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asset:
    data: bytes
    packed: bytes
    type: str
    etag: str


def _assets() -> dict[str, _Asset]:
    found = {}
    for entry in (resources.files("dashboards") / "static").iterdir():
        suffix = Path(entry.name).suffix
        if suffix in _TYPES:
            data = entry.read_bytes()
            found[entry.name] = _Asset(
                data=data,
                packed=gzip.compress(data, mtime=0),
                type=_TYPES[suffix],
                etag=f'"{hashlib.sha256(data).hexdigest()[:16]}"',
            )
    return found


def add_routes(shell: Shell) -> None:
    """Add /static."""
    assets = _assets()

    @shell.app.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise HTTPException(404)
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.type, headers=headers)
        return Response(asset.data, media_type=asset.type, headers=headers)
