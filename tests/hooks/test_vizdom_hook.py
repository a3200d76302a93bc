"""Every call of the Vizdom hook, against the sandbox and against a service with other words."""

from __future__ import annotations

import json

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    ExportFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnexpectedReplyError,
)
from airflow_provider_visio.hooks.vizdom import VizdomHook

PDF = b"%PDF-1.7\nsmall\n%%EOF\n"


def test_dashboards_are_listed(vizdom):
    assert {board["id"]: board["name"] for board in vizdom.list_dashboards()} == {
        "dash_abc123": "Q4 Revenue Overview",
        "dash_ops456": "Vehicle Inspections",
        "dash_broken": "Warehouse Stock",
    }


def test_one_dashboard(vizdom):
    assert vizdom.get_dashboard("dash_abc123")["visualization_count"] == 8


def test_a_dashboard_that_is_not_there_says_so(vizdom):
    with pytest.raises(NotFoundError, match="Dashboard with ID 'dash_never' does not exist") as caught:
        vizdom.get_dashboard("dash_never")
    assert "Check the id" in str(caught.value)


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize("wanted", ["pdf", "PNG", " csv "])
def test_start_an_export_and_read_its_status(sandbox, vizdom, wanted, meta):
    sandbox.settings(export_seconds=30, meta=meta)
    export = vizdom.create_export("dash_abc123", wanted)
    assert export["format"] == wanted.strip().lower()
    assert export["dashboard_id"] == "dash_abc123"
    words = [export["status"]]
    for _ in range(3):
        sandbox.advance(11)
        words.append(vizdom.get_export(export["id"])["status"])
    assert words == ["pending", "processing", "processing", "completed"]
    assert vizdom.get_export(export["id"])["download_url"].startswith(sandbox.storage_url)


def test_an_export_of_an_unknown_dashboard_says_so(sandbox, vizdom):
    with pytest.raises(NotFoundError, match="Dashboard with ID 'dash_never' does not exist"):
        vizdom.create_export("dash_never", "pdf")
    assert sandbox.control("GET", "/exports") == []


@pytest.mark.parametrize("bad", ["docx", "", None])
def test_an_unknown_format_makes_no_call(sandbox, vizdom, bad):
    with pytest.raises(InvalidRequestError, match="pdf, png, csv"):
        vizdom.create_export("dash_abc123", bad)
    assert sandbox.calls() == []


def test_an_export_that_is_not_there_says_so(vizdom):
    with pytest.raises(NotFoundError, match="Export with ID 'exp_never' does not exist"):
        vizdom.get_export("exp_never")


def test_a_viewer_s_key_is_refused(sandbox, vizdom):
    sandbox.settings(vizdom_role="viewer")
    with pytest.raises(PermissionDeniedError, match="Viewers have no API access"):
        vizdom.create_export("dash_abc123", "pdf")


def test_a_failed_export_has_the_service_s_reason(sandbox, vizdom, tmp_path):
    export = vizdom.create_export("dash_broken", "pdf")
    sandbox.advance(60)
    failed = vizdom.get_export(export["id"])
    assert failed["status"] == "failed"
    assert "did not answer" in failed["error"]["message"]
    with pytest.raises(ExportFailedError) as caught:
        vizdom.download_export(export["id"], str(tmp_path))
    for part in (export["id"], "'failed'", "Start another", "connection vizdom_default"):
        assert part in str(caught.value)
    assert "did not answer" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_not_ready_says_to_wait(sandbox, vizdom, tmp_path):
    export = vizdom.create_export("dash_abc123", "pdf")
    with pytest.raises(ExportFailedError, match="VizdomExportSensor"):
        vizdom.download_export(export["id"], str(tmp_path))


def test_a_lost_reply_starts_nothing_twice(sandbox, vizdom):
    sandbox.fault("vizdom", "status", method="POST", status=502, times=1)
    with pytest.raises(ServiceError) as caught:
        vizdom.create_export("dash_abc123", "pdf")
    assert caught.value.ambiguous
    assert sandbox.count("vizdom", "POST /exports") == 1


def test_judging_asks_and_decides(sandbox, vizdom, clock):
    good, bad = (vizdom.create_export(board, "csv")["id"] for board in ("dash_abc123", "dash_broken"))
    assert vizdom.judge([good, bad])[0].outcome == "wait"
    assert vizdom.judge([good], deadline=clock.now())[0].outcome == "timeout"
    sandbox.advance(60)
    verdict, states = vizdom.judge([good, bad])
    assert (verdict.outcome, verdict.arrived, verdict.ended) == ("failed", (good,), {bad: "failed"})
    assert "did not answer" in str(states[bad]["error"])
    assert vizdom.judge([good])[0].outcome == "done"


def test_any_other_call_can_be_made(vizdom):
    assert len(vizdom.request("GET", "/dashboards")) == 3


@pytest.mark.parametrize(
    ("extra", "address"),
    [
        ({}, ""),
        ({"workspace": "acme"}, "https://app.vizdom.ai/acme/dashboards/dash_1"),
        ({"dashboard_url": "https://bi.test/d/{dashboard_id}"}, "https://bi.test/d/dash_1"),
        ({"dashboard_url": "https://bi.test/{workspace}/{dashboard_id}"}, ""),
    ],
)
def test_the_address_of_a_dashboard(connection, extra, address):
    assert VizdomHook(connection("my_vizdom", "", "key12345", **extra)).dashboard_url("dash_1") == address


def test_a_failed_export_s_reason_gives_nothing_away(serve, connection, tmp_path):
    words = "key12345 could not read https://s3.test/x?signature=abc for mary@example.com"
    server = serve(Answer(200, {"data": {"id": "exp_1", "status": "failed", "error": {"message": words}}}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345"))
    with pytest.raises(ExportFailedError, match="could not read") as caught:
        hook.download_export("exp_1", str(tmp_path))
    for secret in ("key12345", "signature", "mary@example.com"):
        assert secret not in str(caught.value)


CONTRACT = {
    "start_path": "/dashboards/{dashboard_id}/render",
    "export_path": "/renders/{export_id}",
    "dashboard_field": "",
    "format_field": "type",
    "formats": ["pdf"],
    "id_field": "render_id",
    "status_field": "state",
    "url_field": "href",
    "error_field": "reason",
    "done_words": ["SUCCESS"],
    "failed_words": ["Error"],
    "open_words": ["queued"],
}


@pytest.fixture
def stranger(serve):
    """A service whose exports go by quite other names; ``stranger.state`` is what it says of them."""

    def answer(request):
        if request.method == "POST":
            return Answer(202, {"data": {"render_id": "r-7", "state": "Queued"}})
        if request.path == "/v1/renders/r-7":
            found = {"render_id": "r-7", "state": server.state, "reason": "Out of ink", "type": "pdf"}
            return Answer(200, {"data": {**found, "href": f"{server.url}/files/r-7?token=x"}})
        return Answer(200, PDF, {"Content-Type": "application/pdf"})

    server = serve(answer)
    server.state = "queued"
    return server


@pytest.fixture(params=["object", "text"])
def strange_hook(request, connection, stranger):
    contract = CONTRACT if request.param == "object" else json.dumps(CONTRACT)
    return VizdomHook(connection("my_vizdom", stranger.url, "key12345", contract=contract))


def test_another_contract_starts_watches_and_fetches(strange_hook, stranger, tmp_path):
    export = strange_hook.create_export("dash_1", "pdf")
    assert (export["id"], export["status"]) == ("r-7", "Queued")
    assert (stranger.received[0].path, json.loads(stranger.received[0].body)) == (
        "/v1/dashboards/dash_1/render",
        {"type": "pdf"},
    )
    assert strange_hook.judge(["r-7"])[0].outcome == "wait"
    stranger.state = "Success"
    assert strange_hook.judge(["r-7"])[0].outcome == "done"
    manifest = strange_hook.download_export("r-7", str(tmp_path))
    assert manifest["files"][0]["mime_type"] == "application/pdf"
    assert (tmp_path / "r-7" / manifest["files"][0]["path"].rsplit("/", 1)[-1]).read_bytes() == PDF


def test_another_contract_s_failure_is_one(strange_hook, stranger):
    stranger.state = "ERROR"
    verdict, states = strange_hook.judge(["r-7"])
    assert verdict.ended == {"r-7": "failed"}
    assert states["r-7"]["error"] == "Out of ink"


def test_another_contract_s_formats_are_its_own(strange_hook, stranger):
    with pytest.raises(InvalidRequestError, match="is not one of pdf"):
        strange_hook.create_export("dash_1", "csv")
    assert stranger.received == []


@pytest.mark.parametrize("said", ["Excel", "EXCEL", "xlsx"])
def test_a_file_of_another_format_than_the_one_that_the_service_calls_so_is_marked(
    serve, connection, tmp_path, said
):
    def answer(request):
        if request.path == "/v1/exports/exp_1":
            link = f"{server.url}/files/1"
            return Answer(
                200, {"data": {"id": "exp_1", "status": "completed", "format": said, "download_url": link}}
            )
        return Answer(200, PDF, {"Content-Type": "application/octet-stream"})

    server = serve(answer)
    contract = {"formats": {"xlsx": "Excel"}}
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=contract))
    (entry,) = hook.download_export("exp_1", str(tmp_path))["files"]
    assert (entry["mime_type"], entry["path"].endswith(".pdf")) == ("application/pdf", True)
    assert entry["declared_type"].startswith("application/vnd.openxml")


def test_a_reply_without_the_contract_s_id_says_which_field(serve, connection):
    server = serve(Answer(201, {"data": {"id": "exp_1", "status": "pending"}}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=CONTRACT))
    with pytest.raises(UnexpectedReplyError, match=r"without `data\.render_id`") as caught:
        hook.create_export("dash_1", "pdf")
    assert caught.value.ambiguous


def test_a_numeric_id_is_an_id_too(serve, connection):
    server = serve(Answer(201, {"data": {"id": 17, "status": "pending"}}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345"))
    assert str(hook.create_export("dash_1", "pdf")["id"]) == "17"
