"""The web pages: read once at the start, served from memory, compressed once.

Owns addresses, caching and the content policy of pages. A file is served for
ever under its version (`/static/<version>/...`), which the pages name, and
without a version it is asked about every time. Knows nothing of what is in them.
"""

import gzip
from collections.abc import Awaitable, Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from gateway.http_public import IMMUTABLE
from gateway.limits import MAX_PACKED_FILES, MAX_WEB_BYTES
from gateway.problems import Problem

WEB_DIR: Final = Path(__file__).parent / "web"
PAGE_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'"
)
SCAN_POLICY: Final = PAGE_POLICY + "; script-src 'self' 'wasm-unsafe-eval'"
"""The scanner's decoder is WebAssembly."""
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
}
_COMPRESSED: Final = frozenset({".html", ".js", ".css", ".svg", ".json", ".txt", ".wasm"})
_PAGES: Final = {
    "/": "index.html",
    r"/p/{performance:\d{1,9}}": "seat.html",
    r"/o/{order:[0-9a-f]{32}}": "order.html",
    "/scan": "scan.html",
    "/scan-worker.js": "scan-worker.js",
}
_NAMES_FILES: Final = (".html", "-worker.js")
"""What names other files, and is told of which version they are."""


class File(Struct, frozen=True):
    body: bytes
    packed: bytes  # empty: not worth it
    content_type: str
    etag: str


class Site:
    """The files of one directory. Add its routes to an application with `add_to`."""

    def __init__(self, directory: Path = WEB_DIR) -> None:
        contents = _read(directory)
        digest = sha256()
        for name, body in sorted(contents.items()):
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        self.version = digest.hexdigest()[:16]
        versioned = f'"/static/{self.version}/'.encode()
        self._files = {
            name: _file(
                name,
                body.replace(b'"/static/', versioned) if name.endswith(_NAMES_FILES) else body,
            )
            for name, body in contents.items()
        }

    def add_to(self, app: web.Application) -> None:
        for path, name in _PAGES.items():
            if name in self._files:
                app.router.add_get(path, self._page(name))
        app.router.add_get(r"/static/{name:.+}", self._static)

    def _page(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        file = self._files[name]

        async def page(request: web.Request) -> web.Response:
            policy = SCAN_POLICY if name == "scan.html" else PAGE_POLICY
            headers = {hdrs.CACHE_CONTROL: "no-cache", "Content-Security-Policy": policy}
            return _served(request, file, headers)

        return page

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        version, _, rest = name.partition("/")
        of_this_version = version == self.version
        file = self._files.get(rest if of_this_version else name)
        if file is None or file.content_type == _TYPES[".html"]:
            raise Problem("not_found")
        return _served(
            request, file, {hdrs.CACHE_CONTROL: IMMUTABLE if of_this_version else "no-cache"}
        )


def _served(request: web.Request, file: File, headers: dict[str, str]) -> web.Response:
    headers |= {hdrs.ETAG: file.etag, hdrs.VARY: "Accept-Encoding"}
    if request.headers.get(hdrs.IF_NONE_MATCH) == file.etag:
        return web.Response(status=304, headers=headers)
    body = file.body
    if file.packed and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = file.packed
    charset = "utf-8" if file.content_type.startswith("text/") else None
    return web.Response(body=body, content_type=file.content_type, charset=charset, headers=headers)


def _read(directory: Path) -> dict[str, bytes]:
    contents = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.suffix in _TYPES and path.is_file()
    }
    size = sum(map(len, contents.values()))
    assert size <= MAX_WEB_BYTES, f"{directory} holds {size} bytes, {MAX_WEB_BYTES} at most"
    return contents


@lru_cache(MAX_PACKED_FILES)
def _file(name: str, body: bytes) -> File:
    """Packing well takes time: an application made again in the same process has it already."""
    suffix = Path(name).suffix
    packed = gzip.compress(body, 9, mtime=0) if suffix in _COMPRESSED else b""
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    return File(body, packed if len(packed) < len(body) else b"", _TYPES[suffix], etag)
