"""What `airflow providers get` shows: Airflow accepts it, it has each option of the code, and what it names exists."""

from __future__ import annotations

import ast
import json
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
import yaml

from airflow_provider_visio.get_provider_info import get_provider_info
from airflow_provider_visio.triggers.webhook_inbox import READ_EVERY, SLOW_INTERVAL

ROOT = Path(__file__).parents[1]
CONSTANTS = {"SLOW_INTERVAL": SLOW_INTERVAL, "READ_EVERY": READ_EVERY}
READS = {"get": "string", "getboolean": "boolean", "getfloat": "float", "getint": "integer"}
OPTIONS = get_provider_info()["config"]["visio"]["options"]


def reads() -> dict[str, tuple[str, Any]]:
    """Return the type and the fallback of each option of ``[visio]`` that the code reads."""
    found = {}
    for path in (ROOT / "airflow_provider_visio").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            first = node.args[0] if node.args else None
            if node.func.attr not in READS or not isinstance(first, ast.Constant) or first.value != "visio":
                continue
            (fallback,) = [one.value for one in node.keywords if one.arg == "fallback"]
            value = CONSTANTS[fallback.id] if isinstance(fallback, ast.Name) else ast.literal_eval(fallback)
            found[node.args[1].value] = (READS[node.func.attr], value)
    return found


def test_each_option_that_is_read_is_declared():
    assert {name: option["type"] for name, option in OPTIONS.items()} == {
        name: kind for name, (kind, _) in reads().items()
    }


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_says_all(name):
    option = OPTIONS[name]
    assert set(option) == {"description", "version_added", "type", "example", "default"}
    kind, fallback = reads()[name]
    assert yaml.safe_load(option["default"]) == fallback
    assert kind != "boolean" or option["default"] in {"True", "False"}
    assert option["example"] != option["default"]


def test_airflow_accepts_it():
    schema = Path(airflow.__file__).with_name("provider_info.schema.json")
    jsonschema.validate(get_provider_info(), json.loads(schema.read_text()))


def loadable(info: dict[str, Any]) -> list[str]:
    return [
        *(one["hook-class-name"] for one in info["connection-types"]),
        *(one["plugin-class"] for one in info["plugins"]),
        *info["extra-links"],
        *(one["to_openlineage_converter"] for one in info["asset-uris"]),
    ]


@pytest.mark.parametrize("path", loadable(get_provider_info()))
def test_what_it_names_is_there(path):
    module, name = path.rsplit(".", 1)
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_modules_are_there(kind):
    for entry in get_provider_info()[kind]:
        for module in entry["python-modules"]:
            import_module(module)


def test_the_plugin_is_an_entry_point_too():
    """Airflow ignores plugins that only the provider's metadata names."""
    points = metadata.entry_points(group="airflow.plugins")
    declared = [one["plugin-class"].rsplit(".", 1) for one in get_provider_info()["plugins"]]
    assert [f"{module}:{name}" for module, name in declared] == [
        point.value for point in points if point.name == "visio"
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem
)
def test_an_issue_form_has_github_s_shape(path):
    form = yaml.safe_load(path.read_text())
    if path.stem == "config":
        assert form == {"blank_issues_enabled": False}
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) >= 3
    for field in form["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown"}
        assert ("value" if field["type"] == "markdown" else "label") in field["attributes"]
