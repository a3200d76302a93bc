"""Workflow mode, from a signed address to a signed return; signatures are made here by the plugin's recipe."""

import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from .test_recipient_page import jpeg

SECRET = "s" * 64


def sign(*values: object) -> str:
    return hmac.new(SECRET.encode(), "|".join(map(str, values)).encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def link(sandbox):
    made = sandbox.visiono("POST", "/permanent-links", {"instructions": "x", "unique_field_label": "Plate"})
    return made.json()["data"]


@pytest.fixture
def workflow(sandbox, link):
    def switch_on(**body):
        path = f"/permanent-links/{link['id']}/workflow"
        return sandbox.control("PUT", path, {"secret": SECRET, **body})

    return switch_on


def address(sandbox, link, *, age: float = 0, **changes) -> str:
    ts = str(int(sandbox.control("GET", "/time")["now"] - age))
    query = {"uv": "AB 12/3", "src": "crm", "ref": "ä&4", "ts": ts, "sig": sign("AB 12/3", "crm", "ä&4", ts)}
    query |= changes
    path = urlsplit(link["request_url"]).path
    return f"{path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def draft_on(page) -> str:
    return page.text.split('name="draft" value="')[1].split('"')[0]


def submit(sandbox, link, draft: str):
    path = urlsplit(link["request_url"]).path
    files = {"photo": ("a.jpg", jpeg(), "image/jpeg")}
    return sandbox.page("POST", f"{path}/submit", data={"draft": draft}, files=files)


def test_a_signed_visitor_is_known_and_sent_back_signed(sandbox, link, workflow):
    workflow(return_url="https://crm.example.com/back")
    page = sandbox.page("GET", address(sandbox, link))
    assert page.status_code == 200
    assert "Plate" not in page.text
    back = submit(sandbox, link, draft_on(page))
    assert back.status_code == 303
    assert back.headers["location"].startswith("https://crm.example.com/back?")
    told = dict(parse_qsl(urlsplit(back.headers["location"]).query))
    (submission,) = sandbox.get(f"/permanent-links/{link['id']}/submissions")
    assert (told["sub"], told["uv"], told["ref"], told["cnt"]) == (submission["id"], "AB 12/3", "ä&4", "1")
    assert int(told["ts"]) == int(sandbox.control("GET", "/time")["now"])
    assert told["sig"] == sign(*(told[name] for name in ("sub", "uv", "ref", "cnt", "ts")))
    assert submission["unique_field_value"] == "AB 12/3"
    assert (submission["external_source"], submission["external_reference"]) == ("crm", "ä&4")


@pytest.mark.parametrize("without", ["uv", "src", "ref", "ts", "sig"])
def test_missing_parameters(sandbox, link, workflow, without):
    workflow()
    page = sandbox.page("GET", address(sandbox, link, **{without: None}))
    assert page.status_code == 400
    assert "Missing parameters" in page.text


@pytest.mark.parametrize("changed", [{"uv": "other"}, {"src": "x"}, {"ref": "x"}, {"ts": "1"}, {"sig": "ß"}])
def test_a_changed_address(sandbox, link, workflow, changed):
    workflow()
    page = sandbox.page("GET", address(sandbox, link, **changed))
    assert page.status_code == 403
    assert "Invalid signature" in page.text


@pytest.mark.parametrize(("age", "status"), [(3590, 200), (3610, 410), (-3610, 410)])
def test_an_address_is_good_for_an_hour(sandbox, link, workflow, age, status):
    workflow()
    page = sandbox.page("GET", address(sandbox, link, age=age))
    assert page.status_code == status
    assert ("Link expired" in page.text) is (status == 410)


def test_a_signed_time_that_is_not_a_number(sandbox, link, workflow):
    workflow()
    signed = {"ts": "soon", "sig": sign("AB 12/3", "crm", "ä&4", "soon")}
    assert sandbox.page("GET", address(sandbox, link, **signed)).status_code == 403


def test_workflow_mode_cannot_be_bypassed(sandbox, link, workflow):
    other = sandbox.visiono("POST", "/permanent-links", {"instructions": "y"}).json()["data"]
    foreign = draft_on(sandbox.page("GET", urlsplit(other["request_url"]).path))
    workflow()
    path = urlsplit(link["request_url"]).path
    assert sandbox.page("GET", path).status_code == 400
    for draft in ("", "made-up", foreign):
        assert submit(sandbox, link, draft).status_code == 400
    assert sandbox.get(f"/permanent-links/{link['id']}/submissions") == []


def test_a_visit_that_has_begun_may_end_after_the_address_has_expired(sandbox, link, workflow):
    workflow()
    page = sandbox.page("GET", address(sandbox, link))
    sandbox.advance(7200)
    back = submit(sandbox, link, draft_on(page))
    assert (back.status_code, back.headers["location"]) == (
        303,
        f"{urlsplit(link['request_url']).path}?thanks",
    )
    assert sandbox.page("GET", back.headers["location"]).status_code == 200


def test_placeholders_in_the_return_address(sandbox, link, workflow):
    workflow(return_url="https://crm.example.com/{unique_value}?n={photo_count}&id={submission_id}&x={else}")
    body = {"photos": 2, "unique_field_value": "A/1", "external_reference": "r"}
    done = sandbox.control("POST", f"/permanent-links/{link['id']}/submit", body)
    assert done["return_url"] == f"https://crm.example.com/A%2F1?n=2&id={done['id']}&x={{else}}"


def test_workflow_mode_ends(sandbox, link, workflow):
    made = workflow(secret=None)
    assert len(made["secret"]) == 64
    assert made["request_url"] == link["request_url"]
    sandbox.control("DELETE", f"/permanent-links/{link['id']}/workflow")
    page = sandbox.page("GET", urlsplit(link["request_url"]).path)
    assert page.status_code == 200
    assert "Plate" in page.text
