"""The OpenAPI and AsyncAPI documents: complete, and true to the routes and types."""

import ast
import inspect
import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway import asyncapi, openapi, wire
from gateway.http import EDGE
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import paid_order


async def fetched(gateway: Running, name: str) -> Any:
    async with gateway.http.get(f"/api/{name}.json") as answer:
        assert answer.status == 200 and answer.content_type == "application/json"
        return json.loads(await answer.read())


async def test_every_route_is_in_the_document_and_nothing_else(gateway: Running) -> None:
    document = await fetched(gateway, "openapi")
    told = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    routed = {
        (route.method, route.resource.canonical)
        for route in gateway.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert told == routed
    known = {f"{method} {path}" for method, path in routed}
    assert set(openapi.OPERATIONS) <= known, "an entry for a route that is gone"


async def test_every_body_that_a_handler_reads_is_in_the_document(gateway: Running) -> None:
    """A handler that calls read_json has an entry with the very type that it reads."""
    missing = []
    for route in gateway.app.router.routes():
        if route.resource is None or route.method in ("HEAD", "GET"):
            continue
        name = f"{route.method} {route.resource.canonical}"
        calls = [
            node
            for node in ast.walk(ast.parse(inspect.getsource(route.handler).lstrip()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("read_json", "read_body")
        ]
        for call in calls:
            operation = openapi.OPERATIONS.get(name, openapi.Operation())
            read = "" if call.func.id == "read_body" else ast.unparse(call.args[1])  # type: ignore[attr-defined]
            told = getattr(operation.body, "__name__", "")
            if operation.body is None or (read and read != told):
                missing.append(f"{name}: {read or 'a body'}")
    assert missing == []


async def test_the_document_is_sound(gateway: Running) -> None:
    document = await fetched(gateway, "openapi")
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        for reference in references(schema):
            assert reference.removeprefix("#/components/schemas/") in schemas, (name, reference)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            for reference in references(operation):
                assert reference.removeprefix("#/components/schemas/") in schemas, where
            in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in in_path), where
            assert operation["summary"] and operation["responses"], where
    ids = [one["operationId"] for ones in document["paths"].values() for one in ones.values()]
    assert len(set(ids)) == len(ids)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for one in value.values() for found in references(one)]
    if isinstance(value, list):
        return [found for one in value for found in references(one)]
    return []


async def test_an_order_and_a_problem_are_as_the_document_says(gateway: Running) -> None:
    document = await fetched(gateway, "openapi")
    order = await paid_order(gateway, 5, 6)
    problem = await gateway.json("GET", f"/api/orders/{'0' * 32}", expect=404)
    for name, value in (("Order", order), ("Problem", problem)):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema).validate(value)
    with pytest.raises(Exception, match=r"is not of type|is a required property"):
        schema = {"$ref": "#/components/schemas/Order", "components": document["components"]}
        Draft202012Validator(schema).validate({"id": 7})


async def test_every_frame_is_in_the_asyncapi_document(gateway: Running) -> None:
    document = await fetched(gateway, "asyncapi")
    kinds = {*wire.ClientFrame.__args__, *wire.ServerFrame.__args__}
    tags = {str(kind.__struct_config__.tag) for kind in kinds}
    assert set(document["components"]["messages"]) == tags
    assert set(document["channels"]["websocket"]["messages"]) == tags
    told = {
        name: {one["$ref"].rpartition("/")[2] for one in operation["messages"]}
        for name, operation in document["operations"].items()
    }
    assert told["fromClients"] | told["fromServer"] == tags
    for reference in references(document):
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def test_a_frame_fits_its_schema_and_a_wrong_one_does_not() -> None:
    document = asyncapi.document()
    schema = document["components"]["messages"]["ping"]["payload"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    validator.validate(json.loads(msgspec.json.encode(wire.Ping(7))))
    assert not validator.is_valid(["ping", "seven"]) and not validator.is_valid(["pong", 7])


async def test_the_documents_are_made_once(gateway: Running) -> None:
    assert gateway.edge is gateway.app[EDGE]
    first, second = [await fetched(gateway, "openapi") for _ in range(2)]
    assert first == second
