"""The files that pages load, all from here: styles, scripts and their addresses, which change with their content."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from app.base.errors import NotFound

AnyRequest = Request[Any, Any, Any]
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    zipped: bytes
    media_type: str
    version: str


def asset_address(name: str) -> str:
    return f"/ui/static/{_load()[name].version}/{name}"


@cache
def _load() -> Mapping[str, Asset]:
    found = {}
    for entry in files("app.api.ui").joinpath("static").iterdir():
        ending = entry.name[entry.name.rfind(".") :]
        if ending in _KINDS:
            content = entry.read_bytes()
            found[entry.name] = Asset(
                content, gzip.compress(content, mtime=0), _KINDS[ending], hashlib.sha256(content).hexdigest()[:12]
            )
    return MappingProxyType(found)


@get("/ui/static/{version:str}/{name:str}", include_in_schema=False)
async def serve_asset(request: AnyRequest, version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    asset = _load().get(name)
    if asset is None or version != asset.version:
        raise NotFound(f"there is no file {name[:100]} of this version")
    headers = {"cache-control": _FOR_EVER, "x-content-type-options": "nosniff", "vary": "accept-encoding"}
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    if zipped:
        headers["content-encoding"] = "gzip"
    return Response(asset.zipped if zipped else asset.content, media_type=asset.media_type, headers=headers)
