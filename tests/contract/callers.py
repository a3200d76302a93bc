"""Which operators, sensors and triggers send which calls, in the documents and as recorded."""

from __future__ import annotations

import sys
from functools import cache
from types import FrameType
from typing import Any

import pytest

from airflow_provider_visio.api import client
from contract.validity import find
from dev.contract.documents import every_operation, load
from dev.contract.page import names
from dev.public_classes import public

CLASSES = {one.__name__: one for kind in ("operators", "sensors", "triggers") for one in public(kind)}
# A poll is its own task of the event loop, without a trigger's frame. Each of these modules has one trigger.
POLLS = {one.__module__: one for one in public("triggers")}

# (class, (service, call))
Pairs = set[tuple[str, str]]


@cache
def named() -> Pairs:
    """Return the pairs of class and call in the documents."""
    return {
        (name, f"{one.service} {one.name}")
        for one in every_operation()
        if not one.about["x-operator"].startswith("none:")
        for name in names(one.about["x-operator"])
    }


def record(monkeypatch: pytest.MonkeyPatch) -> Pairs:
    """Record the pairs of class and call from now on, in the returned set."""
    made: Pairs = set()
    for kind in (client.Client, client.TriggerClient):

        def noted(self: Any, call: Any, retry: Any, send: Any = kind._attempt) -> Any:
            operation = _operation(self.config.service.name.lower(), call.method, call.path)
            if operation is not None:
                made.update((name, operation) for name in _callers(sys._getframe()))
            return send(self, call, retry)

        monkeypatch.setattr(kind, "_attempt", noted)
    return made


_document = cache(load)


@cache
def _operation(service: str, method: str, path: str) -> str | None:
    one = find(_document(service), method, path, service)
    return None if one is None else f"{service} {one.name}"


def _callers(frame: FrameType | None) -> set[str]:
    found: set[type] = set()
    while frame is not None:
        found.update(type(frame.f_locals.get("self")).__mro__)
        found.update({POLLS.get(frame.f_globals.get("__name__", ""), object)})
        frame = frame.f_back
    return {name for name, one in CLASSES.items() if one in found}
