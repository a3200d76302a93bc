"""Templated fields take what ``render_template_as_native_obj=True`` makes of text, and what a table has."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG

from airflow_provider_visio.api.call import Reply
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.exceptions import VisioProviderError
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoCreatePhotoRequestOperator,
)
from airflow_provider_visio.operators.vizdom import VizdomCreateDataSourceOperator
from dev.public_classes import parameters, public

CLASSES = [*public("operators"), *public("sensors")]
FIELDS = [(one, field) for one in CLASSES for field in one.template_fields]

# What a class needs beside the field of the test, by name.
NEEDED: dict[str, Any] = {
    "at_least": 5,
    "changes": {"custom_slug": "meter"},
    "dashboard_id": "dash_1",
    "data_source_id": "ds_1",
    "destination": "file:///tmp/visio",
    "email": "mary@example.com",
    "export_id": "exp_1",
    "instructions": "Photograph the meter",
    "link_id": "link_1",
    "name": "Claims",
    "request_id": "req_1",
    "requests": [{"instructions": "Photograph the meter"}],
    "settings": {"host": "db"},
    "source_type": "mysql",
}
# How a field holds a text and a number; any other templated field is the text itself.
HOLDERS: dict[str, Callable[[Any, Any], Any]] = {
    "at_least": lambda _, number: number,
    "changes": lambda text, _: {"custom_slug": text, "tags": [text], "items": [text]},
    "expires_in_hours": lambda _, number: number,
    "fields": lambda text, _: {"unique_field_label": text, "tags": [text], "items": [text]},
    "items": lambda text, _: [text, {"instructions": text}],
    "metadata": lambda _, number: {"n": number},
    "options": lambda _, number: {"n": number},
    "requests": lambda text, number: [{"instructions": text, "items": [text], "expires_in_hours": number}],
    "settings": lambda text, _: {"database": text, "password": text},
    "since": lambda _, number: number,
}
# A number is none of these, as text and as a number.
WORDS = {"destination", "email", "export_format", "recipient_email", "role"}


@pytest.fixture
def outcome(monkeypatch, run_task) -> Callable[..., Any]:
    """Return a function that renders and runs an operator, and returns its calls and its error; all get a 404."""
    calls: list[tuple[Any, ...]] = []

    def exchange(_: Client, call: Any) -> Reply:
        body = json.loads(call.content() or b"null")
        for name in ("airflow_ask", "airflow_input"):
            (body or {}).get("metadata", {}).pop(name, None)
        if "tags" in (body or {}):
            body["tags"] = [tag for tag in body["tags"] if not str(tag).startswith("airflow-")]
        calls.append((call.method, call.path, body))
        return Reply(404, {"content-type": "application/json"}, b'{"message": "Not here."}')

    monkeypatch.setattr(Client, "_exchange", exchange)

    def run(operator: Any, field: str, value: Any) -> Any:
        calls.clear()
        kind = "visiono" if operator.__name__.startswith("Visiono") else "vizdom"
        for name in (f"{kind}_default", "4711"):
            found = {"conn_type": kind, "host": "http://127.0.0.1:9", "password": "k"}
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(found))
        needed = {one.name for one in parameters(operator) if one.default is None} | {"settings"}
        given = {n: v for n, v in NEEDED.items() if n in needed and n in operator.template_fields}
        with DAG("d", schedule=None, render_template_as_native_obj=True):
            made = operator(task_id="t", **{**given, field: "{{ value }}"})
        made.render_template_fields({"value": value})
        task, error = run_task(made), None
        try:
            made.execute(task.context)
        except VisioProviderError as caught:
            error = type(caught).__name__, list(getattr(caught, "fields", {}))
        except TaskDeferred as deferred:
            error = deferred.trigger.serialize()
        return list(calls), error

    return run


@pytest.mark.parametrize("value", [4711, Decimal(4711), 4711.0], ids=repr)
@pytest.mark.parametrize(("operator", "field"), FIELDS, ids=lambda one: getattr(one, "__name__", one))
def test_a_number_is_taken_as_its_text_is(outcome, operator, field, value):
    hold = HOLDERS.get(field, lambda text, _: text)
    # An id, also a connection's, is a whole number; other text stays as a template without native objects renders it.
    text = "4711" if field.endswith(("_id", "_ids")) else str(value)
    got = outcome(operator, field, hold(value, value))
    assert got == outcome(operator, field, hold(text, 4711))
    if field not in WORDS and text == "4711":
        assert got[0], got


@pytest.mark.parametrize("value", [True, 47.5, float("nan"), Decimal("NaN"), b"4711", {4711.5}], ids=repr)
@pytest.mark.parametrize("field", ["request_id", "link_id", "export_id", "dashboard_id", "data_source_id"])
def test_what_is_no_id_is_refused_and_nothing_is_called(outcome, field, value):
    operators = [one for one in CLASSES if field in one.template_fields]
    for operator in operators:
        assert outcome(operator, field, value) == ([], ("InvalidRequestError", [field]))


CASES = {
    "recipient_email": [(" mary@example.com\n", "mary@example.com"), ("", None), (" ", None)],
    "expires_in_hours": [(24.0, 24), (Decimal("24.0"), 24), ("24.0", 24), ("24", 24)],
    "metadata": [
        ({"at": datetime(2026, 1, 2, 3, tzinfo=UTC)}, {"at": "2026-01-02T03:00:00+00:00"}),
        ({"day": [date(2026, 1, 2)]}, {"day": ["2026-01-02"]}),
        ({"price": Decimal("12.30"), "n": Decimal(3)}, {"price": 12.3, "n": 3}),
        ({"of": UUID(int=7)}, {"of": "00000000-0000-0000-0000-000000000007"}),
    ],
    "internal_notes": [(date(2026, 1, 2), "2026-01-02"), (7, "7")],
}


@pytest.mark.parametrize(
    ("field", "value", "sent"), [(name, *case) for name, cases in CASES.items() for case in cases], ids=repr
)
def test_what_a_table_has_is_sent_in_the_form_of_the_api(outcome, field, value, sent):
    one = VisionoCreatePhotoRequestOperator
    ((_, _, body),), _ = outcome(one, field, value)
    found = body.get(field)
    if field == "metadata":
        found.pop("airflow_task")
    assert found == sent
    batch = VisionoCreatePhotoRequestBatchOperator
    calls, _ = outcome(batch, "requests", [{"instructions": "x", field: value}])
    found = calls[0][2].get(field)
    if field == "metadata":
        found.pop("airflow_task")
    assert found == sent


def test_a_password_of_digits_is_masked(outcome, monkeypatch):
    masked: list[Any] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", masked.append)
    outcome(VizdomCreateDataSourceOperator, "settings", {"host": "db", "password": 47114711})
    assert "47114711" in masked


def test_an_address_is_masked_without_the_blanks_around_it(outcome, monkeypatch):
    masked: list[Any] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", masked.append)
    outcome(VisionoCreatePhotoRequestOperator, "recipient_email", " mary@example.com ")
    assert masked == ["mary@example.com"]
