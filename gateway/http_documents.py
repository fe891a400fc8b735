"""The API's own descriptions, for programs: OpenAPI of HTTP, AsyncAPI of the websocket.

Owns these two routes. What is in the documents is `gateway.openapi`'s and `gateway.asyncapi`'s.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec
from aiohttp import hdrs, web

from gateway import asyncapi, openapi

_Made = Callable[[], bytes]
OPENAPI: Final = web.AppKey[_Made]("openapi")
"""The document, made when somebody asks for it."""
_ASYNCAPI: Final = msgspec.json.encode(asyncapi.document())
_HEADERS: Final = {hdrs.CACHE_CONTROL: "public, max-age=300"}

routes = web.RouteTableDef()


@routes.get("/api/openapi.json")
async def get_openapi(request: web.Request) -> web.Response:
    """The HTTP API as an OpenAPI document."""
    return _document(request.app[OPENAPI]())


@routes.get("/api/asyncapi.json")
async def get_asyncapi(request: web.Request) -> web.Response:
    """The websocket as an AsyncAPI document."""
    return _document(_ASYNCAPI)


def describe(app: web.Application) -> None:
    """Let an application describe the routes that it has when it is first asked."""
    made: _Made = cache(lambda: msgspec.json.encode(openapi.document(app)))
    app[OPENAPI] = made


def _document(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers=_HEADERS)
