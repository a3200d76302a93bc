"""One list of fields gives the form of every Airflow, and what the provider tells of itself is true."""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import airflow
import jsonschema
import pytest

from airflow_provider_visio.connection_form import VISIONO_FORM, VIZDOM_FORM, Field, read_extras
from airflow_provider_visio.get_provider_info import get_provider_info
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

FORMS = pytest.mark.parametrize("form", [VISIONO_FORM, VIZDOM_FORM], ids=lambda form: form.conn_type)
INFO = get_provider_info()


def imported(dotted):
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def strings(value):
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def test_the_metadata_is_what_airflow_s_schema_asks_for():
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


def test_every_dotted_path_in_the_metadata_can_be_imported():
    paths = [text for text in strings(INFO) if text.startswith("airflow_provider_visio.")]
    assert len(paths) >= 12
    for path in paths:
        try:
            importlib.import_module(path)
        except ModuleNotFoundError:
            assert imported(path)


def test_the_metadata_is_plain_json():
    assert json.loads(json.dumps(INFO)) == INFO


def test_airflow_finds_the_metadata():
    found = [point for point in entry_points(group="apache_airflow_provider") if "visio" in point.value]
    assert [point.load()() for point in found] == [INFO]


@pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
def test_the_hook_of_each_connection_type_is_the_one_named(hook):
    (entry,) = (one for one in INFO["connection-types"] if one["connection-type"] == hook.conn_type)
    assert imported(entry["hook-class-name"]) is hook
    assert entry["hook-name"] == hook.hook_name
    assert hook.default_conn_name == f"{hook.conn_type}_default"
    assert hook.conn_name_attr == f"{hook.conn_type}_conn_id"


@pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
def test_both_forms_show_the_same(hook):
    (entry,) = (one for one in INFO["connection-types"] if one["connection-type"] == hook.conn_type)
    old, new = hook.get_ui_field_behaviour(), entry["ui-field-behaviour"]
    assert new["hidden-fields"] == old["hidden_fields"]
    assert new["relabeling"] == old["relabeling"]
    assert new["placeholders"] == old["placeholders"]


@FORMS
def test_host_and_password_are_named_and_the_rest_is_hidden(form):
    behaviour = form.behaviour()
    assert behaviour["relabeling"] == {"host": "Base URL", "password": "API key"}
    assert behaviour["placeholders"]["host"] == form.base_url
    assert set(behaviour["hidden_fields"]) >= {"schema", "login", "port"}


@FORMS
def test_the_placeholder_is_the_base_url_that_is_used(form):
    assert form.base_url == imported(form.hook_class).service.default_base_url


@FORMS
def test_every_field_has_a_label_a_description_and_a_schema(form):
    for name, field in form.metadata()["conn-fields"].items():
        assert field["label"], name
        assert field["description"].endswith("."), name
        assert "null" in field["schema"]["type"], name


@FORMS
def test_the_defaults_are_valid_by_their_own_schema(form):
    for field in form.metadata()["conn-fields"].values():
        jsonschema.validate(field["schema"].get("default"), field["schema"])


@FORMS
def test_what_the_form_says_is_what_is_read(form):
    defaults = {
        name: field["schema"].get("default") for name, field in form.metadata()["conn-fields"].items()
    }
    assert read_extras(form, {}) == defaults
    assert read_extras(form, defaults) == defaults
    assert read_extras(form, {name: str(v) for name, v in defaults.items() if v is not None}) == defaults
    assert read_extras(form, dict.fromkeys(defaults, "")) == defaults


def test_secrets_are_not_shown():
    assert VISIONO_FORM.metadata()["conn-fields"]["webhook_secret"]["schema"]["format"] == "password"


@FORMS
def test_the_older_form_has_the_same_fields(form, monkeypatch):
    # wtforms comes with Airflow 3.1 only.
    class Widget:
        def __init__(self, label, validators, description, default):
            self.label, self.description, self.default = label, description, default

    wtforms, validators = ModuleType("wtforms"), ModuleType("wtforms.validators")
    wtforms.BooleanField = wtforms.PasswordField = wtforms.StringField = Widget
    validators.Optional = object
    monkeypatch.setitem(sys.modules, "wtforms", wtforms)
    monkeypatch.setitem(sys.modules, "wtforms.validators", validators)
    widgets, fields = form.widgets(), form.metadata()["conn-fields"]
    assert {name: widget.label for name, widget in widgets.items()} == {
        n: f["label"] for n, f in fields.items()
    }
    assert all(widget.default == fields[name]["schema"].get("default") for name, widget in widgets.items())


NUMBER = Field("timeout", "", "", "number", 30, 0.1)
WHOLE = Field("max_attempts", "", "", "integer", 5, 1)
YES = Field("verify", "", "", "boolean", default=True)
TEXT = Field("ca_bundle", "", "")
WORD = Field("dialect", "", "", default="reference", choices=("reference", "plugin"))
DATA = Field("contract", "", "", "json")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (NUMBER, 5, 5.0),
        (NUMBER, "5.5", 5.5),
        (NUMBER, " 5 ", 5.0),
        (NUMBER, 0.1, 0.1),
        (NUMBER, None, 30),
        (NUMBER, " ", 30),
        (WHOLE, "3", 3),
        (WHOLE, 3.0, 3),
        (YES, "No", False),
        (YES, "off", False),
        (YES, 0, False),
        (YES, "TRUE", True),
        (YES, 1, True),
        (TEXT, " /etc/ca.pem ", "/etc/ca.pem"),
        (TEXT, "", None),
        (WORD, " Plugin", "plugin"),
        (WORD, None, "reference"),
        (DATA, '{"a": [1]}', {"a": [1]}),
        (DATA, {"a": [1]}, {"a": [1]}),
        (DATA, "", None),
    ],
)
def test_a_field_is_read_from_numbers_and_from_text(field, value, expected):
    assert field.read({field.name: value}) == expected


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (NUMBER, "soon", "timeout must be a number of at least 0.1"),
        (NUMBER, 0, "timeout must be a number of at least 0.1"),
        (NUMBER, True, "timeout must be a number of at least 0.1"),
        (NUMBER, "nan", "timeout must be a number"),
        (NUMBER, "inf", "timeout must be a number"),
        (NUMBER, [1], "timeout must be a number"),
        (WHOLE, 2.5, "max_attempts must be a whole number of at least 1"),
        (WHOLE, "0", "max_attempts must be a whole number of at least 1"),
        (YES, "maybe", "verify must be true or false"),
        (YES, 2, "verify must be true or false"),
        (WORD, "both", "dialect must be reference or plugin"),
        (WORD, True, "dialect must be reference or plugin"),
        (DATA, "{", "contract must be JSON"),
    ],
)
def test_a_field_that_cannot_be_read_says_what_it_must_be(field, value, problem):
    with pytest.raises(ValueError, match=problem):
        field.read({field.name: value})


def test_the_form_offers_both_dialects_and_hides_the_secrets():
    fields = VISIONO_FORM.metadata()["conn-fields"]
    assert fields["dialect"]["schema"] == {
        "type": ["string", "null"],
        "default": "reference",
        "enum": ["reference", "plugin", None],
    }
    assert {name for name, field in fields.items() if field["schema"].get("format") == "password"} == {
        "proxy",
        "webhook_secret",
        "workflow_secret",
    }
