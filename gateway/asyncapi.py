"""The AsyncAPI document of the websocket, made from the types of its frames.

Owns the document alone; the frames are `gateway.wire`'s, what they mean is in docs/protocol.md.
"""

from typing import Any, Final

import msgspec

from gateway import wire

_REF: Final = "#/components/schemas/{name}"
_MEDIA: Final = "application/msgpack"


def document() -> dict[str, Any]:
    """AsyncAPI 3.0: one channel, and what either side may send on it.

    The two frames of the seat feed are bytes of the engine's and have no type here.
    """
    sent = {_tag(kind): kind for kind in wire.ServerFrame.__args__}
    received = {_tag(kind): kind for kind in wire.ClientFrame.__args__}
    kinds = [*sent.values(), *received.values()]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = dict(zip(kinds, schemas, strict=True))
    messages = {
        tag: {
            "name": tag,
            "contentType": _MEDIA,
            "summary": (kind.__doc__ or tag).strip().splitlines()[0],
            "payload": by_kind[kind],
        }
        for tag, kind in (received | sent).items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Strapontin", "version": str(wire.PROTOCOL_VERSION)},
        "defaultContentType": _MEDIA,
        "channels": {
            "websocket": {
                "address": "/ws",
                "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in messages},
            }
        },
        "operations": {
            "fromClients": _operation("receive", list(received)),
            "fromServer": _operation("send", list(sent)),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def _operation(action: str, tags: list[str]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/websocket/messages/{tag}"} for tag in tags]
    return {
        "action": action,
        "channel": {"$ref": "#/channels/websocket"},
        "messages": messages,
    }
