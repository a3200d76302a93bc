"""docs/sandbox.md has every option, call, field, fault and setting, with its default."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from airflow_provider_visio.sandbox.__main__ import main
from airflow_provider_visio.sandbox.fault_injection import FaultSpec, Kind
from airflow_provider_visio.sandbox.options import Person, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE, re.MULTILINE))


def section(heading: str) -> dict[str, list[str]]:
    """The table rows below a heading, by the first cell."""
    text = re.split(
        r"^##+ ", re.split(rf"^##+ {heading}$", PAGE, flags=re.MULTILINE)[1], maxsplit=1, flags=re.MULTILINE
    )[0]
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def defaults(model) -> dict[str, str]:
    return {
        name: "required"
        if field.is_required()
        else f"`{json.dumps(field.get_default(call_default_factory=True))}`"
        for name, field in model.model_fields.items()
    }


@pytest.mark.parametrize(
    ("heading", "model", "column"),
    [("Fields of a person", Person, 1), ("Fields of a fault", FaultSpec, 1), ("Settings", Settings, 0)],
)
def test_fields_and_defaults(heading, model, column):
    rows = section(heading)
    assert {name: rows[name][column] for name in rows} == defaults(model)


def test_kinds_of_faults():
    assert set(get_args(Kind)) == set(section("Kinds of faults"))


def test_options(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    usage = capsys.readouterr().out.partition("fields of --person")[0]
    assert set(section("Options")) == set(re.findall(r"^  (--[a-z-]+)", usage, re.MULTILINE))


def test_calls_and_their_bodies(sandbox):
    served = {f"{one['method']} {one['path']}": one["body"] for one in sandbox.control("GET", "")}
    documented = {name: rest for name, rest in ROWS.items() if re.match("[A-Z]+ /control", name)}
    assert set(documented) == set(served)
    for call, fields in served.items():
        if "person" not in call and call != "POST /control/faults":
            assert [name for name in fields if f"`{name}`" not in documented[call]] == [], call
