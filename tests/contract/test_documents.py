"""The documents are valid, and everything in them has its evidence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from contract.validity import problems
from dev.contract.documents import SERVICES, every_operation, follow, load, operations, spoken_in

LIMITS = {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern", "enum", "format"}
DIALECTS = {"visiono": {"both", "reference", "plugin", "neither"}, "vizdom": {"both"}}


def nodes(node: Any, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document with its path. Examples are data and not schemas, so they are left out."""
    if isinstance(node, dict):
        yield where, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        if name not in ("examples", "example", "value"):
            yield from nodes(child, f"{where}/{name}")


def known_things(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all parts that need evidence: operations, parameters, headers, properties, security, servers, examples."""
    document = load(service)
    for one in operations(document):
        yield one.name, one.about
    parts = document["components"]
    for kind in ("parameters", "headers", "securitySchemes", "examples"):
        for name, about in parts[kind].items():
            yield f"{kind} {name}", about
    yield from ((server["url"], server) for server in document["servers"])
    for where, node in nodes(document):
        if isinstance(node.get("properties"), dict) and not where.endswith("/properties"):
            for name, about in node["properties"].items():
                yield f"{where} {name}", about


@pytest.mark.parametrize("service", SERVICES)
def test_document_is_valid_openapi(service):
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(load(service))] == []


@pytest.mark.parametrize("service", SERVICES)
def test_schemas_are_valid(service):
    document = load(service)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("service", SERVICES)
def test_references_lead_somewhere(service):
    document = load(service)
    for where, node in nodes(document):
        if "$ref" in node:
            assert follow(document, node), where
        if "operationId" in node and "parameters" in node and "responses" not in node:
            assert node["operationId"] in {one.id for one in operations(document)}, where


@pytest.mark.parametrize("service", SERVICES)
def test_everything_has_evidence(service):
    info = load(service)["info"]
    found = list(known_things(service))
    assert len(found) > 100
    for where, about in found:
        assert about.get("x-evidence") in info["x-evidence-levels"], where
        tags = [tag.split(":")[-1] for tag in str(about.get("x-source")).replace(";", ",").split(",")]
        for tag in tags:
            assert tag.strip() in info["x-sources"], f"{where}: {tag}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_limit_has_evidence(service):
    document = load(service)
    levels = document["info"]["x-evidence-levels"]
    for where, about in known_things(service):
        schema = follow(document, about.get("schema", about))
        words = [schema, *(follow(document, one) for one in schema.get("anyOf", []))]
        limited = sorted({name for one in words for name in LIMITS & one.keys()})
        if where.startswith("parameters ") and about["in"] == "path":
            continue
        if limited:
            assert about.get("x-limits") in levels, f"{where}: {limited}"


def fields_below(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the fields of a schema's object, and of its nested objects."""
    schema = follow(document, schema)
    for name, about in schema.get("properties", {}).items():
        yield name, about
        yield from fields_below(document, about)
    if "items" in schema:
        yield from fields_below(document, schema["items"])


def body_of(about: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = about["content"]["application/json"]["schema"]
    return found


# Calls whose fields no page shows under their path, and calls whose body no page shows.
UNSEEN = [one for one in every_operation() if one.path in ("/permanent-links", "/permanent-links/{id}")]
UNSEEN_BODIES = [one for one in every_operation() if one.id in ("updateSmartLink", "updateWebhook")]


@pytest.mark.parametrize("one", UNSEEN + UNSEEN_BODIES, ids=lambda one: one.name)
def test_fields_no_page_shows_are_not_called_known(one):
    document = load("visiono")
    found = [
        (each["name"], each)
        for each in (follow(document, each) for each in one.about.get("parameters", []))
        if each["in"] == "query"
    ]
    if "requestBody" in one.about:
        found += follow(document, body_of(one.about["requestBody"]))["properties"].items()
    if one in UNSEEN and one.method != "DELETE":
        reply = follow(document, one.about["responses"].get("200", one.about["responses"].get("201")))
        data = body_of(reply)["properties"]["data"]
        shape = follow(document, data)
        found += [("data", data), *follow(document, shape.get("items", shape))["properties"].items()]
    assert found or one.method == "DELETE"
    sure = [name for name, about in found if about["x-evidence"] not in ("inferred", "assumed")]
    assert sure == []


def test_limits_of_bodies_are_not_taken_from_the_dashboard_s_pages():
    document = load("visiono")
    limits = {
        f"{one.name} {name}": about["x-limits"]
        for one in operations(document)
        if "requestBody" in one.about
        for name, about in fields_below(document, body_of(one.about["requestBody"]))
        if "x-limits" in about
    }
    assert len(limits) > 20
    assert {where: level for where, level in limits.items() if level in ("seed", "docs")} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_bodies_take_no_other_fields(service):
    for name, schema in load(service)["components"]["schemas"].items():
        if name.endswith(("Input", "Changes", "Settings")) and "oneOf" not in schema:
            assert schema["additionalProperties"] is False, name


@pytest.mark.parametrize("one", every_operation(), ids=lambda one: f"{one.service} {one.name}")
def test_operation_says_all_there_is(one):
    document = load(one.service)
    assert one.about["x-dialect"] in DIALECTS[one.service]
    assert {"x-hook", "x-operator", "x-test", "summary"} <= one.about.keys()
    statuses = set(one.about["responses"])
    assert {"401", "429", "500"} < statuses
    assert statuses & {"200", "201", "204"}
    assert ("{id}" in one.path) <= ("404" in statuses)
    assert ("requestBody" in one.about) == ({"400", "422"} < statuses and one.method != "GET")
    for status, named in one.about["responses"].items():
        reply = follow(document, named)
        assert (status == "204") == ("content" not in reply)
        if status in ("200", "201"):
            assert reply["content"]["application/json"]["examples"], "no example"


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for where, node in nodes(document):
        if "schema" in node and "examples" in node:
            for name, example in node["examples"].items():
                yield f"{where} {name}", node["schema"], follow(document, example)["value"]


SPOKEN = {
    "vizdom": load("vizdom"),
    **{dialect: spoken_in(load("visiono"), dialect) for dialect in ("both", "reference", "plugin")},
}


@pytest.mark.parametrize("document", SPOKEN.values(), ids=SPOKEN)
def test_examples_keep_to_their_schemas(document):
    found = list(examples(document))
    assert len(found) > 10
    for where, schema, value in found:
        assert problems(document, schema, value) == [], where


def test_operation_ids_are_unique():
    for service in SERVICES:
        ids = [one.id for one in operations(load(service))]
        assert [name for name, same in itertools.groupby(sorted(ids)) if len(list(same)) > 1] == []
