"""Check requests and values against a document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker

from dev.contract.documents import Json, Operation, follow, operations

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri", raises=ValueError)
def _is_address(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme and urlsplit(value).netloc)


def problems(document: Json, schema: Json, value: Any) -> list[str]:
    """Return the errors of a value as text."""
    validator = Draft202012Validator({**schema, "components": document["components"]}, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def find(document: Json, method: str, path: str, service: str) -> Operation | None:
    """Return the operation of a call. A path without placeholders has precedence."""
    found = [
        one
        for one in operations(document, service)
        if one.method == method and _pattern(one.path).fullmatch(path)
    ]
    return min(found, key=lambda one: one.path.count("{"), default=None)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


def wrong_in(
    document: Json, one: Operation, target: str, headers: Mapping[str, str], body: bytes, *, key: str
) -> Iterator[str]:
    """Yield the errors of a request. Its header names are in lower case."""
    about = [follow(document, each) for each in one.about.get("parameters", [])]
    known = {each["name"]: each["schema"] for each in about if each["in"] == "query"}
    query = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    for name, value in query:
        if name not in known:
            yield f"the parameter {name} is not known"
        else:
            yield from problems(document, known[name], value)
    if len({name for name, _ in query}) < len(query):
        yield "a parameter is there twice"
    if unquote(urlsplit(target).path) != unquote(urlsplit(target).path).strip():
        yield "the path has blanks around it"
    yield from _wrong_key(document, headers, key)
    expected = one.about.get("requestBody")
    if expected is None:
        if body:
            yield "there is a body"
        return
    if headers.get("content-type", "").partition(";")[0] != "application/json":
        yield f"the content type is {headers.get('content-type')}"
    yield from problems(document, expected["content"]["application/json"]["schema"], json.loads(body))


def _wrong_key(document: Json, headers: Mapping[str, str], key: str) -> Iterator[str]:
    scheme = document["components"]["securitySchemes"]["key"]
    bearer = scheme["type"] == "http"
    name = "authorization" if bearer else scheme["name"].lower()
    if headers.get(name) != (f"Bearer {key}" if bearer else key):
        yield f"the header {name} does not carry the key"
