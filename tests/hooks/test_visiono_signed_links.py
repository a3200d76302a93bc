"""Signed links through the hook, against the sandbox's own reading of the vendor's recipe."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from conftest import connect

from airflow_provider_visio.exceptions import InvalidRequestError, SignatureError
from airflow_provider_visio.hooks.visiono import VisionoHook

SECRET = "5f2b" * 16
BACK = "https://me.example/back?case=1"


@pytest.fixture
def hook(sandbox, monkeypatch):
    connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, workflow_secret=SECRET)
    return VisionoHook()


@pytest.fixture
def link(sandbox, hook):
    made = hook.create_permanent_link("Each damage", custom_slug="fleet", unique_field_label="Plate")
    sandbox.control("PUT", f"/permanent-links/{made['id']}/workflow", {"secret": SECRET, "return_url": BACK})
    return made


def signed(hook, link, **changes):
    given = {"unique_value": "Größe & W-1", "source": "claims", "reference": "run 1+2"}
    return hook.build_workflow_url(link["request_url"], **{**given, **changes})


def opens(url):
    return requests.get(url, timeout=10).status_code == 200


def test_the_service_opens_a_signed_link_for_an_hour(sandbox, hook, link, clock):
    assert not opens(link["request_url"])
    url = signed(hook, link)
    assert opens(url)
    assert not opens(url.replace("W-1", "W-2"))
    clock.sleep(3590)
    assert opens(url)
    clock.sleep(20)
    assert not opens(url)


def test_a_link_can_open_for_less_than_the_hour(sandbox, hook, link, clock):
    url = signed(hook, link, valid_for=60)
    assert opens(url)
    clock.sleep(62)
    assert not opens(url)


def test_another_secret_opens_nothing(sandbox, hook, link, monkeypatch):
    connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, workflow_secret="else")
    assert not opens(signed(hook, link))


def test_what_the_service_sends_back_is_verified(sandbox, hook, link, clock):
    given = {"photos": 2, "unique_field_value": "Größe & W-1", "external_reference": "run 1+2"}
    came = sandbox.control("POST", f"/permanent-links/{link['id']}/submit", given)
    url = came["return_url"]
    assert url.startswith(f"{BACK}&sub=")
    believed = hook.verify_workflow_return(url)
    assert believed == {
        "submission_id": came["id"],
        "unique_value": "Größe & W-1",
        "reference": "run 1+2",
        "photo_count": 2,
        "signed_at": believed["signed_at"],
    }
    assert hook.verify_workflow_return(dict(parse_qsl(urlsplit(url).query))) == believed
    with pytest.raises(SignatureError):
        hook.verify_workflow_return(url.replace("cnt=2", "cnt=3"))
    clock.sleep(3700)
    with pytest.raises(SignatureError, match="min old"):
        hook.verify_workflow_return(url)
    assert hook.verify_workflow_return(url, valid_for=7200) == believed


def test_a_template_with_names_of_its_own_is_verified(sandbox, hook, link):
    names = ("id", "who", "case", "n", "at", "s")
    meanings = ("submission_id", "unique_value", "reference", "photo_count", "timestamp", "signature")
    template = "&".join(f"{name}={{{meaning}}}" for name, meaning in zip(names, meanings, strict=True))
    body = {"secret": SECRET, "return_url": f"https://me.example/?{template}"}
    sandbox.control("PUT", f"/permanent-links/{link['id']}/workflow", body)
    given = {"photos": 1, "unique_field_value": "W-1", "external_reference": "r"}
    came = sandbox.control("POST", f"/permanent-links/{link['id']}/submit", given)
    believed = hook.verify_workflow_return(came["return_url"], names=dict(zip(meanings, names, strict=True)))
    assert believed["submission_id"] == came["id"]


def test_no_call_is_made(sandbox, hook):
    hook.build_workflow_url("https://visio.now/p/x", unique_value="a", source="b", reference="c")
    assert sandbox.calls() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda hook: hook.build_workflow_url(
            "https://visio.now/p/x", unique_value="a", source="b", reference="c"
        ),
        lambda hook: hook.verify_workflow_return({}),
    ],
)
def test_a_connection_without_a_secret_says_where_to_get_it(visiono, call):
    with pytest.raises(InvalidRequestError, match="dashboard into the connection's extra `workflow_secret`"):
        call(visiono)


def test_its_signature_is_masked_in_logs(hook, link):
    from airflow.sdk._shared.secrets_masker import redact

    url = signed(hook, link)
    signature = dict(parse_qsl(urlsplit(url).query))["sig"]
    assert signature not in redact(f"Sent {url} to somebody")
    assert "Sent http" in redact(f"Sent {url} to somebody")
