"""The assumed export calls, and how a connection replaces parts of them."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api.vizdom import create_export, get_export, read_export
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import InvalidRequestError

CONTRACT = VizdomContract()


def test_the_proposal_is_the_default():
    start = create_export("dash_1", "PDF ", CONTRACT)
    assert (start.method, start.path, start.body) == (
        "POST",
        "/exports",
        {"dashboard_id": "dash_1", "format": "pdf"},
    )
    assert get_export("exp_1", CONTRACT).path == "/exports/exp_1"
    assert {start.evidence, get_export("exp_1", CONTRACT).evidence} == {"assumed"}


def test_every_part_can_be_replaced():
    contract = VizdomContract.with_changes(
        {
            "start_path": "/dashboards/{dashboard_id}/render",
            "export_path": "/renders/{export_id}/state",
            "dashboard_field": "",
            "format_field": "type",
            "formats": ["PDF", "XLSX"],
            "id_field": "render_id",
            "status_field": "state",
            "url_field": "href",
            "expires_field": "until",
            "error_field": "reason",
            "done_words": ["Success"],
            "failed_words": ["Error"],
            "open_words": [],
        }
    )
    start = create_export("dash_1", "xlsx", contract)
    assert (start.path, start.body) == ("/dashboards/dash_1/render", {"type": "XLSX"})
    assert get_export("7", contract).path == "/renders/7/state"
    theirs = {
        "render_id": "7",
        "state": "Success",
        "href": "https://x",
        "until": "u",
        "reason": None,
        "more": 1,
    }
    assert read_export(theirs, contract).items() >= {
        "id": "7", "status": "Success", "download_url": "https://x", "expires_at": "u", "error": None, "more": 1,
    }.items()  # fmt: skip
    assert (contract.done_words, contract.failed_words, contract.open_words) == (("success",), ("error",), ())


@pytest.mark.parametrize(
    ("reply", "files"),
    [
        ({}, []),
        ({"download_url": None, "files": [], "download_urls": None}, []),
        ({"download_url": "a"}, [("a", None)]),
        ({"download_url": ["a", "b"]}, [("a", None), ("b", None)]),
        ({"download_urls": ["a", "b"]}, [("a", None), ("b", None)]),
        ({"files": [{"url": "a", "name": "x.csv"}, {"url": "b"}]}, [("a", "x.csv"), ("b", None)]),
        ({"files": ["a", "b"], "download_url": "c"}, [("a", None), ("b", None)]),
        (
            {"files": [{"name": "x.csv"}, None, {"url": 5, "name": 6}]},
            [("", "x.csv"), ("", None), ("5", "6")],
        ),
        ({"files": 2, "download_urls": "a", "download_url": "b"}, [("b", None)]),
    ],
)
def test_the_links_of_an_export(reply, files):
    found = read_export({"id": "7", **reply}, CONTRACT)["files"]
    assert [(file["url"], file["name"]) for file in found] == files


def test_options_are_sent_beside_the_format():
    options = {"filters": {"region": "north"}, "timezone": None}
    assert create_export("dash_1", "pdf", CONTRACT, options).body == {
        "dashboard_id": "dash_1", "format": "pdf", **options,
    }  # fmt: skip
    for none in (None, {}):
        assert (
            create_export("dash_1", "pdf", CONTRACT, none).body
            == create_export("dash_1", "pdf", CONTRACT).body
        )


@pytest.mark.parametrize("name", ["kind", "board"])
def test_options_replace_no_field_of_the_contract(name):
    contract = VizdomContract.with_changes({"format_field": "kind", "dashboard_field": "board"})
    with pytest.raises(InvalidRequestError, match=f"options: '{name}' is given by"):
        create_export("dash_1", "pdf", contract, {name: "x"})
    assert create_export("dash_1", "pdf", contract, {"format": "A4"}).body["format"] == "A4"


@pytest.mark.parametrize("options", ["format", [1], {1: "x"}])
@pytest.mark.parametrize("field", ["", "settings"])
def test_options_that_are_no_object_are_refused(options, field):
    contract = VizdomContract.with_changes({"options_field": field})
    with pytest.raises(InvalidRequestError, match="options: give a dict by the service's names"):
        create_export("dash_1", "pdf", contract, options)


@pytest.mark.parametrize("nothing", [None, {}, "", []])
def test_no_changes_are_the_default(nothing):
    assert VizdomContract.with_changes(nothing) == CONTRACT


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ("x", "must be a JSON object"),
        ([1], "must be a JSON object"),
        ({"start": "/x"}, "'start' is not one of"),
        ({"start_path": 5}, "start_path: Input should be a valid string"),
        ({"done_words": "success"}, "done_words: Input should be a valid"),
        ({"done_words": [1]}, "done_words: Input should be a valid"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(changes, advice):
    with pytest.raises(InvalidRequestError, match=advice):
        VizdomContract.with_changes(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"export_path": "/exports/{id}"},
        {"export_path": "/exports"},
        {"export_path": "/{export_id:d}"},
        {"export_path": "/{export_id!x}"},
        {"export_path": "/{export_id!r}"},
        {"export_path": "/{export_id:{x}}"},
        {"start_path": "/{dashboard_id:d}"},
        {"start_path": "/dashboards/{id}/export"},
        {"start_path": "/dashboards/{}/export"},
        {"start_path": "/dashboards/{dashboard_id"},
        {"start_path": "exports"},
        {"start_path": "https://evil.test/exports"},
        {"format_field": ""},
        {"id_field": ""},
    ],
)
def test_a_contract_that_cannot_work_is_refused_when_it_is_read(changes):
    with pytest.raises(InvalidRequestError, match=next(iter(changes))):
        VizdomContract.with_changes(changes)


@pytest.mark.parametrize("bad", ["docx", "", None, 5, ["pdf"]])
def test_an_unknown_format_is_refused_with_those_there_are(bad):
    with pytest.raises(InvalidRequestError, match="is not one of pdf, png, csv") as caught:
        create_export("dash_1", bad, CONTRACT)
    assert list(caught.value.fields) == ["export_format"]


@pytest.mark.parametrize(
    ("formats", "asked", "sent"),
    [
        (["PDF"], "pdf", "PDF"),
        ({"xlsx": "Excel"}, "XLSX ", "Excel"),
        ({"jpg": "jpeg", "png": "png"}, "jpg", "jpeg"),
    ],
)
def test_a_format_is_sent_as_the_service_has_it(formats, asked, sent):
    contract = VizdomContract.with_changes({"formats": formats})
    assert create_export("dash_1", asked, contract).body["format"] == sent


def test_a_service_s_own_word_for_a_format_is_not_the_dag_s():
    contract = VizdomContract.with_changes({"formats": {"xlsx": "Excel"}})
    with pytest.raises(InvalidRequestError, match="'Excel' is not one of pdf, png, csv, jpg, xlsx"):
        create_export("dash_1", "Excel", contract)


def test_a_format_that_the_contract_lacks_says_how_to_add_it():
    with pytest.raises(InvalidRequestError, match=r"name it in `contract\.formats`"):
        create_export("dash_1", "xlsx", CONTRACT)


@pytest.mark.parametrize("bad", ["", "a b", "../x", None])
def test_a_dashboard_id_that_is_none_is_refused(bad):
    with pytest.raises(InvalidRequestError, match="dashboard_id"):
        create_export(bad, "pdf", CONTRACT)
