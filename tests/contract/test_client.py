"""The hooks match the documents: their requests are valid, and they read each documented reply."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from api.local_server import Answer, LocalServer, Received
from PIL import Image

from airflow_provider_visio import exceptions
from airflow_provider_visio.api import client
from airflow_provider_visio.api.call import Call
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from contract.hook_calls import BEYOND, ON_THE_WAY, SAMPLES, SILENT
from contract.validity import find, wrong_in
from dev.contract.documents import Operation, every_operation, follow, load, operations, spoken_in

HOOKS = {"VisionoHook": (VisionoHook, "visiono"), "VizdomHook": (VizdomHook, "vizdom")}
STORAGE = "https://storage.example.com"
JPEG = io.BytesIO()
Image.new("RGB", (8, 8)).save(JPEG, "JPEG")
PDF = b"%PDF-1.4\n%%EOF\n"
BASE = "/v1"
KEY = "key-of-the-tests"


@dataclass
class Service:
    """
    A server that answers with the examples of a document, and remembers what was wrong with the requests.

    It has the calls and filters of both dialects, and notes which of those asked for are beyond the one spoken; in a
    body there is that one only.
    """

    service: str
    dialect: str
    prefer: str | None = None
    hit: list[Operation] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    beyond: set[str] = field(default_factory=set)
    storage: str = ""

    def __post_init__(self) -> None:
        self.document = spoken_in(load(self.service), self.dialect)
        self.spoken = {one.id: one for one in operations(self.document)}
        self.document["paths"] = load(self.service)["paths"]

    def __call__(self, request: Received) -> Answer:
        path = urlsplit(request.path).path
        one = find(self.document, request.method, path.removeprefix(BASE), self.service)
        if one is None:
            self.wrong.append(f"no such call: {request.method} {path}")
            return Answer(404, {"message": "Not found."})
        self.hit.append(one)
        self.beyond.update(self.not_spoken(one, request.path))
        wrong = wrong_in(self.document, one, request.path, request.headers, request.body, key=KEY)
        self.wrong += [f"{one.name}: {what}" for what in wrong]
        return self.answer(one)

    def not_spoken(self, one: Operation, target: str) -> Iterator[str]:
        spoken = self.spoken.get(one.id)
        if spoken is None:
            yield one.id
            return
        about = [follow(self.document, each) for each in spoken.about.get("parameters", [])]
        for name in parse_qs(urlsplit(target).query).keys() - {each["name"] for each in about}:
            yield f"{one.id} {name}"

    def file(self, request: Received) -> Answer:
        if {"x-api-key", "authorization"} & request.headers.keys():
            self.wrong.append("the key went to the storage host")
        return Answer(200, PDF if ".pdf" in request.path else JPEG.getvalue())

    def answer(self, one: Operation) -> Answer:
        status, found = examples_of(self.document, one)
        if not found:
            return Answer(int(status))
        value = found.get(self.prefer or "", next(iter(found.values())))
        return Answer(int(status), _with_own_storage(value, self.storage))


def examples_of(document: dict[str, Any], one: Operation) -> tuple[str, dict[str, Any]]:
    status = max(one for one in one.about["responses"] if one.startswith("2"))
    reply = follow(document, one.about["responses"][status])
    found = reply.get("content", {}).get("application/json", {}).get("examples", {})
    return status, {name: follow(document, example)["value"] for name, example in found.items()}


def _with_own_storage(value: Any, url: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_own_storage(inner, url) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_own_storage(inner, url) for inner in value]
    return value.replace(STORAGE, url) if isinstance(value, str) else value


@dataclass
class Run:
    result: Any
    server: Service
    calls: list[Call]


@pytest.fixture
def run(serve, connection, monkeypatch, tmp_path):
    """Return a function that calls a hook method against a document's examples."""
    calls: list[Call] = []
    exchange = client.Client._exchange

    def noted(self: Any, call: Call) -> Any:
        calls.append(call)
        return exchange(self, call)

    monkeypatch.setattr(client.Client, "_exchange", noted)

    def start(method: str, sample: Any, dialect: str = "reference", prefer: str | None = None) -> Run:
        kind, service = HOOKS[method.partition(".")[0]]
        server = Service(service, dialect if service == "visiono" else "both", prefer)
        local: LocalServer = serve(server)
        server.storage = serve(server.file).url
        extra = {"dialect": dialect} if service == "visiono" else {}
        hook = kind(connection(f"contract_{service}", local.url + BASE, KEY, **extra))
        calls.clear()
        return Run(sample(hook, f"file://{tmp_path}/out"), server, list(calls))

    return start


def cases() -> Iterator[Any]:
    for method, samples in SAMPLES.items():
        for dialect in ("reference", "plugin") if method.startswith("VisionoHook") else ("reference",):
            for number, sample in enumerate(samples):
                yield pytest.param(method, sample, dialect, id=f"{method}-{dialect}-{number}")


def preferred_example(method: str) -> str | None:
    """Return a part of the name of the example that a downloading method needs, or None."""
    return {"VizdomHook.download_export": "completed", "VisionoHook.download_photos": "WH"}.get(method)


@pytest.mark.parametrize(("method", "sample", "dialect"), cases())
def test_what_is_sent_is_in_the_document(run, method, sample, dialect):
    ran = run(method, sample, dialect, preferred_example(method))
    assert ran.server.wrong == []
    assert ran.server.beyond <= BEYOND[dialect].keys()
    assert ran.server.hit
    if method not in ON_THE_WAY:
        for one in ran.server.hit:
            assert method in named_in(one), f"{one.name} does not name {method}"
    for call, one in zip(ran.calls, ran.server.hit, strict=True):
        assert call.evidence == one.about["x-evidence"], one.name
        known_to = one.about["x-dialect"]
        assert call.known_to == ("plugin" if known_to == "neither" else known_to), one.name


@pytest.mark.parametrize("dialect", BEYOND)
def test_what_is_sent_beyond_the_dialect_is_what_is_listed(run, dialect):
    ran = [
        run(method, sample, dialect, preferred_example(method))
        for method, samples in SAMPLES.items()
        if method.startswith("VisionoHook")
        for sample in samples
    ]
    assert set().union(*(one.server.beyond for one in ran)) == BEYOND[dialect].keys()


def named_in(one: Operation) -> list[str]:
    return [name.strip() for name in one.about["x-hook"].split(",")]


def readers() -> Iterator[Any]:
    """Return each documented example of a successful reply, with each method that reads it."""
    for one in every_operation():
        dialect = "plugin" if one.about["x-dialect"] == "plugin" else "reference"
        for name in examples_of(load(one.service), one)[1]:
            method = named_in(one)[0]
            yield pytest.param(one, name, method, dialect, id=f"{one.service} {one.name} {name}")


@pytest.mark.parametrize(("one", "name", "method", "dialect"), readers())
def test_each_documented_reply_is_read(run, one, name, method, dialect):
    ran = run(method, SAMPLES[method][0], dialect, name)
    assert {hit.id for hit in ran.server.hit} == {one.id}
    said = _with_own_storage(examples_of(load(one.service), one)[1][name], ran.server.storage)["data"]
    if one.method == "DELETE":
        assert ran.result is None
    else:
        assert has_all(ran.result, said)


def has_all(result: Any, said: Any) -> bool:
    """Return whether the result has all fields of the reply. It may have more."""
    if isinstance(said, Mapping):
        return all(name in result and has_all(result[name], value) for name, value in said.items())
    if isinstance(said, list):
        return len(result) == len(said) and all(map(has_all, result, said))
    return bool(result == said)


ERRORS = {
    "401": exceptions.AuthenticationError,
    "404": exceptions.NotFoundError,
    "422": exceptions.InvalidRequestError,
    "429": exceptions.RateLimitedError,
}


def refusals() -> Iterator[Any]:
    for service in ("visiono", "vizdom"):
        document = load(service)
        status_of = {"Unauthenticated": "401", "NotFound": "404", "Invalid": "422", "TooMany": "429"}
        for reply, status in status_of.items():
            content = document["components"]["responses"][reply]["content"]["application/json"]
            for name, example in content.get("examples", {}).items():
                value = follow(document, example)["value"]
                yield pytest.param(service, status, value, id=f"{service}-{status}-{name}")


@pytest.mark.parametrize(("service", "status", "value"), refusals())
def test_each_documented_error_is_read(serve, connection, service, status, value):
    kind = {"visiono": VisionoHook, "vizdom": VizdomHook}[service]
    hook = kind(connection(f"contract_{service}", serve(Answer(int(status), value)).url, KEY, max_attempts=1))
    words = (value.get("error") or value)["message"]
    with pytest.raises(ERRORS[status]) as caught:
        hook.request("GET", "/photo-requests" if service == "visiono" else "/dashboards")
    assert words.rstrip(".") in str(caught.value)
    details = value.get("errors") or value.get("error", {}).get("details")
    if details:
        assert caught.value.fields == details


def public_methods(kind: type) -> set[str]:
    """Return the names that this project's classes add to Airflow's hook."""
    ours = [one for one in kind.__mro__ if one.__module__.startswith("airflow_provider_visio")]
    return {
        name
        for one in ours
        for name, value in vars(one).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod))
    }


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_method_is_here(hook):
    sampled = {name.partition(".")[2] for name in SAMPLES if name.startswith(f"{hook}.")}
    assert public_methods(HOOKS[hook][0]) - SILENT.keys() == sampled


@pytest.mark.parametrize("one", every_operation(), ids=lambda one: f"{one.service} {one.name}")
def test_every_call_has_a_hook_method(one):
    for name in named_in(one):
        hook, _, method = name.partition(".")
        assert callable(getattr(HOOKS[hook][0], method, None)), name
        assert name in SAMPLES


@pytest.mark.parametrize("one", every_operation(), ids=lambda one: f"{one.service} {one.name}")
def test_docstrings_say_where_the_call_is_known_from(one):
    first, *others = named_in(one)
    for name in (first, *others):
        hook, _, method = name.partition(".")
        said = re.search(r"\(source: ([^)]*)\)", inspect.getdoc(getattr(HOOKS[hook][0], method)) or "")
        # The other calls extend the first one, and need not repeat its fields.
        assert said or name != first, name
        assert said is None or one.about["x-evidence"] in said[1], name
