"""docs/contract.md is current, and its cells for each call are complete and correct."""

from __future__ import annotations

import ast
import importlib

import pytest

from airflow_provider_visio.api.vizdom_contract import VizdomContract, rows
from airflow_provider_visio.exceptions import InvalidRequestError
from contract.test_documents import known_things
from dev.checkout import ROOT
from dev.contract.documents import every_operation
from dev.contract.page import PAGE, names, text

MODULES = {
    "Operator": ("operators.visiono", "operators.vizdom"),
    "Sensor": ("sensors.visiono", "sensors.vizdom"),
    "Trigger": ("triggers.visiono", "triggers.vizdom"),
}


def tables() -> list[list[list[str]]]:
    """Return the page's tables, each with its lines of cells."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not set(line) <= set("|- "):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif not line and found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def test_page_is_current():
    assert PAGE.read_text() == text(), "run python -m dev.contract --write"


def test_every_call_has_a_line():
    first = {lines[0] for table in tables() for lines in table if lines[0].startswith("`")}
    assert {f"`{one.name}`" for one in every_operation()} <= first


def test_no_cell_is_empty():
    found = tables()
    assert len(found) == 4
    for lines in found:
        assert {len(cells) for cells in lines} == {len(lines[0])}
        for cells in lines:
            assert all(cell and cell != "none:" for cell in cells), cells


def test_rows_that_may_be_empty_are_those_that_a_connection_may_empty():
    """A verb or a path may never be empty."""
    (listed,) = (lines[1:] for lines in tables() if lines[0][0] == "name")
    found = {name.strip("`"): taken.endswith("; may be empty") for name, taken, *_ in listed}
    assert {True, False} == set(found.values())
    for row in rows():
        # Without this field, the path must have the dashboard's id.
        more = {"start_path": "/d/{dashboard_id}"} if row.name == "dashboard_field" else {}
        try:
            VizdomContract.with_changes({row.name: [] if isinstance(row.value, tuple) else "", **more})
            accepted = True
        except InvalidRequestError:
            accepted = False
        assert accepted == found[row.name], row.name


def test_rows_with_several_values_have_the_document_s_evidence():
    known = [about for _, about in known_things("vizdom") if "enum" in about]
    rows_of_words = [row for row in rows() if isinstance(row.value, tuple)]
    found = {
        row.name: {one["x-evidence"] for one in known if one["enum"] == list(row.value)}
        for row in rows_of_words
    }
    assert found["roles"]
    assert found["formats"]
    for row in rows_of_words:
        assert found[row.name] <= {row.evidence}, row.name


@pytest.mark.parametrize("one", every_operation(), ids=lambda one: f"{one.service} {one.name}")
def test_named_operators_exist(one):
    said = one.about["x-operator"]
    if said.startswith("none:"):
        assert len(said.removeprefix("none:").split()) > 2, "give a reason"
        return
    for name in names(said):
        kind = next(kind for kind in MODULES if name.endswith(kind))
        modules = [importlib.import_module(f"airflow_provider_visio.{module}") for module in MODULES[kind]]
        assert any(hasattr(module, name) for module in modules), name


@pytest.mark.parametrize("one", every_operation(), ids=lambda one: f"{one.service} {one.name}")
def test_named_tests_exist(one):
    assert one.about["x-test"]
    for name in one.about["x-test"]:
        path, _, function = name.partition("::")
        module = ast.parse((ROOT / path).read_text())
        defined = {
            node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert function in defined, name
