import base64
import csv
import io
import re
import zipfile
import zlib

import pytest
from PIL import Image


def export(sandbox, export_format="csv", dashboard="dash_abc123"):
    reply = sandbox.vizdom("POST", "/exports", {"dashboard_id": dashboard, "format": export_format})
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]


def poll(sandbox, job):
    reply = sandbox.vizdom("GET", f"/exports/{job['id']}")
    assert reply.status_code == 200
    return reply.json()["data"]


def test_dashboards(sandbox):
    body = sandbox.vizdom("GET", "/dashboards").json()
    assert body["meta"] == {"total": 3}
    assert body["data"][0] == {
        "id": "dash_abc123",
        "name": "Q4 Revenue Overview",
        "description": "Executive summary of Q4 revenue metrics",
        "created_at": "2026-01-15T09:00:00Z",
        "updated_at": "2026-03-22T14:30:00Z",
        "visualization_count": 8,
    }
    one = sandbox.vizdom("GET", "/dashboards/dash_abc123").json()
    assert one == {"data": body["data"][0], "meta": {}}


def test_unknown_dashboard_has_the_documented_body(sandbox):
    error = {"code": "not_found", "message": "Dashboard with ID 'dash_nope' does not exist."}
    reply = sandbox.vizdom("GET", "/dashboards/dash_nope")
    assert (reply.status_code, reply.json()) == (404, {"error": error})
    reply = sandbox.vizdom("POST", "/exports", {"dashboard_id": "dash_nope", "format": "pdf"})
    assert (reply.status_code, reply.json()) == (404, {"error": error})


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (None, 400, "dashboard_id"),
        ({"format": "pdf"}, 400, "dashboard_id"),
        ({"dashboard_id": "dash_abc123"}, 400, "format"),
        ({"dashboard_id": "dash_abc123", "format": "xls"}, 422, "format"),
        ({"dashboard_id": 3, "format": "pdf"}, 422, "dashboard_id"),
        ({"dashboard_id": "dash_abc123", "format": "pdf", "dpi": 3}, 422, "dpi"),
    ],
)
def test_bad_exports(sandbox, body, status, field):
    reply = sandbox.vizdom("POST", "/exports", body)
    assert reply.status_code == status
    assert reply.json()["error"]["code"] == ("bad_request" if status == 400 else "validation_failed")
    assert f"'{field}'" in reply.json()["error"]["message"]


def test_life_of_an_export(sandbox):
    sandbox.settings(export_seconds=30, export_link_seconds=100)
    job = export(sandbox)
    assert set(job) == {"id", "dashboard_id", "format", "status", "created_at"}
    assert job["id"].startswith("exp_")
    seen = [poll(sandbox, job)["status"]]
    for _ in range(2):
        sandbox.advance(15)
        seen.append(poll(sandbox, job)["status"])
    assert seen == ["pending", "processing", "completed"]
    done = poll(sandbox, job)
    assert done["download_url"].startswith(sandbox.info["storage_url"] + "/exports/")
    assert done["expires_at"]
    assert "error" not in done
    sandbox.advance(100)
    assert sandbox.session.get(done["download_url"]).status_code == 403
    assert sandbox.session.get(poll(sandbox, job)["download_url"]).status_code == 200
    assert sandbox.kinds() == ["export_started", "export_ready", "file_fetched"]


def test_failing_export(sandbox):
    job = export(sandbox, dashboard="dash_broken")
    sandbox.advance(2)
    failed = poll(sandbox, job)
    assert failed["status"] == "failed"
    assert set(failed["error"]) == {"code", "message"}
    assert "download_url" not in failed


def test_exports_ended_by_hand(sandbox):
    one, two = export(sandbox), export(sandbox)
    sandbox.control("POST", f"/exports/{one['id']}/complete")
    sandbox.control("POST", f"/exports/{two['id']}/fail")
    sandbox.advance(100)
    assert [poll(sandbox, job)["status"] for job in (one, two)] == ["completed", "failed"]


def test_unknown_export(sandbox):
    reply = sandbox.vizdom("GET", "/exports/exp_none")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def fetch(sandbox, export_format):
    job = export(sandbox, export_format)
    sandbox.advance(2)
    return sandbox.session.get(poll(sandbox, job)["download_url"])


def test_csv(sandbox):
    reply = fetch(sandbox, "csv")
    assert reply.headers["content-type"].startswith("text/csv")
    head, *rows = csv.reader(io.StringIO(reply.text))
    assert head == ["Week of", "Subscriptions", "Services", "Marketplace", "Total"]
    assert len(rows) == 12
    assert all(sum(map(int, row[1:4])) == int(row[4]) for row in rows)


def test_png(sandbox):
    picture = Image.open(io.BytesIO(fetch(sandbox, "png").content))
    assert (picture.format, picture.size) == ("PNG", (1400, 900))
    assert len(picture.convert("RGB").getcolors(1_000_000)) > 100


def test_pdf(sandbox):
    content = fetch(sandbox, "pdf").content
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", content)) == 1
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    drawn = b"".join(zlib.decompress(base64.a85decode(one.strip().removesuffix(b"~>"))) for one in streams)
    for text in (b"Q4 Revenue Overview", b"2,410,820", b"2025-10-06", b"Marketplace", b"Exported"):
        assert text in drawn


def ended(sandbox, outcome, export_format="csv"):
    sandbox.settings(export_outcome=outcome)
    job = export(sandbox, export_format)
    sandbox.settings(export_outcome="file")
    sandbox.advance(3600)
    return poll(sandbox, job)


def test_an_export_that_is_stuck_stays_so_when_the_next_are_not(sandbox):
    stuck, good = ended(sandbox, "stuck"), ended(sandbox, "file")
    assert (stuck["status"], good["status"]) == ("processing", "completed")
    sandbox.control("POST", f"/exports/{stuck['id']}/complete")
    assert sandbox.session.get(poll(sandbox, stuck)["download_url"]).text.startswith("Week of")


@pytest.mark.parametrize("export_format", ["csv", "png"])
@pytest.mark.parametrize(
    ("outcome", "start"),
    [("page", b"<!DOCTYPE html>"), ("error", b"<?xml"), ("nothing", b""), ("cut", None)],
)
def test_a_file_that_is_none(sandbox, outcome, start, export_format):
    whole = fetch(sandbox, export_format).content
    reply = sandbox.session.get(ended(sandbox, outcome, export_format)["download_url"])
    assert (reply.status_code, reply.content[: len(start or b"")]) == (200, start or b"")
    assert len(reply.content) == int(reply.headers["content-length"]) < len(whole)
    assert reply.headers["content-type"].startswith("image/png" if export_format == "png" else "text/csv")
    assert (outcome == "nothing") == (not reply.content)


def test_a_file_that_is_gone(sandbox):
    assert sandbox.session.get(ended(sandbox, "gone")["download_url"]).status_code == 404


def test_a_csv_without_rows(sandbox):
    text = sandbox.session.get(ended(sandbox, "no_rows")["download_url"]).text
    assert text == "Week of,Subscriptions,Services,Marketplace,Total\r\n"


def test_a_zip_of_several(sandbox):
    reply = sandbox.session.get(ended(sandbox, "zip")["download_url"])
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.namelist() == ["Subscriptions.csv", "Services.csv", "Marketplace.csv"]
        assert archive.read("Services.csv").startswith(b"Week of,Services\r\n2025-")


@pytest.mark.parametrize("export_format", ["csv", "png"])
def test_several_files(sandbox, export_format):
    done = ended(sandbox, "several", export_format)
    assert "download_url" not in done
    names = [f"{column}.{export_format}" for column in ("Subscriptions", "Services", "Marketplace")]
    assert [file["name"] for file in done["files"]] == names
    contents = [sandbox.session.get(file["url"]).content for file in done["files"]]
    assert len(set(contents)) == (3 if export_format == "csv" else 1)


def test_options_are_recorded(sandbox):
    wanted = {"filters": {"region": ["north", 3, None]}, "parameters": {}, "timezone": "Europe/Rome"}
    bodies = [{}, wanted, {"page": "A4 landscape"}]
    for more in bodies:
        reply = sandbox.vizdom("POST", "/exports", {"dashboard_id": "dash_abc123", "format": "csv", **more})
        assert reply.status_code == 201
    assert [one["options"] for one in sandbox.control("GET", "/exports")] == bodies


@pytest.mark.parametrize(
    "wrong",
    [{"filters": "region=north"}, {"parameters": None}, {"timezone": 1}, {"page": "A5"}, {"zone": "UTC"}],
)
def test_bad_options(sandbox, wrong):
    reply = sandbox.vizdom("POST", "/exports", {"dashboard_id": "dash_abc123", "format": "csv", **wrong})
    assert reply.status_code == 422
    assert f"'{next(iter(wrong))}" in reply.json()["error"]["message"]
    assert sandbox.control("GET", "/exports") == []
