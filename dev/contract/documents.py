"""Read the OpenAPI documents in docs/openapi as data."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from dev.checkout import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

FOLDER = ROOT / "docs" / "openapi"
SERVICES = ("visiono", "vizdom")
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One call of a service.

    :param service: `visiono` or `vizdom`
    :param method: the HTTP method, in capitals
    :param path: the path below the base URL, with its placeholders
    :param about: the operation object of the document
    """

    service: str
    method: str
    path: str
    about: Json

    @property
    def name(self) -> str:
        """Return its method and path."""
        return f"{self.method} {self.path}"

    @property
    def id(self) -> str:
        """Return its operationId."""
        return str(self.about["operationId"])


@cache
def _read(service: str) -> Json:
    document: Json = yaml.safe_load((FOLDER / f"{service}.yaml").read_text())
    return document


def load(service: str) -> Json:
    """Read a service's document."""
    return copy.deepcopy(_read(service))


def operations(document: Json, service: str = "") -> Iterator[Operation]:
    """Yield a document's operations."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(service, method.upper(), path, item[method])


def every_operation() -> list[Operation]:
    """Return the operations of both services."""
    return [one for service in SERVICES for one in operations(load(service), service)]


def follow(document: Json, node: Json) -> Json:
    """Resolve the references of a node. Fields beside a reference override those of its target."""
    while "$ref" in node:
        found: Any = document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def closed(document: Json) -> Json:
    """Return a copy that allows no other fields in replies. The sandbox must keep to it."""
    document = copy.deepcopy(document)
    _close(document["components"]["schemas"])
    _close(document["components"]["responses"])
    return document


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and isinstance(node.get("properties"), dict):
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


def spoken_in(document: Json, dialect: str) -> Json:
    """Return a copy with the calls and fields of one dialect only.

    :param dialect: `reference`, `plugin` or `both`
    """
    document = copy.deepcopy(document)
    if dialect == "both":
        return document
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item and item[method]["x-dialect"] not in (dialect, "both"):
                del item[method]
            elif method in item:
                # A service with the reference's dialect has no filters that are inferred from the plugin.
                item[method]["parameters"] = [
                    one
                    for one in item[method].get("parameters", [])
                    if dialect == "plugin" or follow(document, one)["x-source"] != "SK"
                ]
        document["paths"][path] = item
    document["paths"] = {
        path: item for path, item in document["paths"].items() if any(m in item for m in METHODS)
    }
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["properties"] = {
                name: one
                for name, one in schema["properties"].items()
                if one.get("x-dialect", dialect) == dialect
            }
    for one in operations(document):
        for body in one.about.get("requestBody", {}).get("content", {}).values():
            body["examples"] = {
                name: example
                for name, example in body.get("examples", {}).items()
                if follow(document, example).get("x-dialect", dialect) == dialect
            }
    left = {one.id for one in operations(document)}
    for reply in document["components"]["responses"].values():
        links = reply.get("links", {})
        reply["links"] = {name: link for name, link in links.items() if link["operationId"] in left}
    return document
