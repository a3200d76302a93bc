"""Both of the vendor's descriptions of its API: which one is written, and what a service that lacks a call is told."""

from __future__ import annotations

import pytest
from api.local_server import Answer
from conftest import connect

from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError
from airflow_provider_visio.hooks.visiono import VisionoHook
from hooks.recipient import leave, submit

LINK_NAMES = {"reference": ("/permanent-links", "PATCH"), "plugin": ("/smart-links", "PUT")}
BASES = {"reference": "https://api.visio.now/v1", "plugin": "https://www.visiono.io/api/v1"}


@pytest.fixture(params=["reference", "plugin"])
def dialect(request, sandbox, monkeypatch):
    """A service that speaks one dialect only, and a connection that writes it."""
    sandbox.settings(dialect=request.param)
    connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect=request.param)
    return request.param


@pytest.fixture
def other(request, sandbox, monkeypatch):
    """A service that speaks the plugin's dialect only, and a connection that writes the reference's; or the reverse."""
    written, spoken = request.param
    sandbox.settings(dialect=spoken)
    connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect=written)
    return VisionoHook()


def test_a_request_in_both_dialects(sandbox, dialect):
    hook = VisionoHook()
    made = hook.create_photo_request("The car", items=["Front", "Back"], metadata={"n": 1})
    assert [item["instructions"] for item in made["items"]] == ["Front", "Back"]
    assert hook.list_photos(made["id"]) == []
    submit(sandbox, made)
    assert hook.get_photo_request(made["id"])["status"] == "submitted"
    assert [one["id"] for one in hook.list_photo_requests()] == [made["id"]]
    photos = hook.list_photos(made["id"])
    assert [photo["item"] for photo in photos] == ["Front", "Back"]
    assert all(photo["url"] and photo["gps"] for photo in photos)
    assert hook.judge([made["id"]])[0].outcome == "done"
    hook.delete_photo_request(made["id"])


@pytest.mark.parametrize(("written", "name"), [("reference", "photo_slots"), ("plugin", "items")])
def test_items_of_a_request_have_the_dialect_s_name(sandbox, monkeypatch, written, name):
    """Those of a link have one name only: no page shows another."""
    sandbox.settings(items_name=name)
    connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect=written)
    hook = VisionoHook()
    link = hook.create_permanent_link("Each damage", items=["Front"])
    made = [
        hook.create_photo_request("The car", items=["Front"]),
        *hook.create_photo_requests([{"instructions": "The car", "items": ["Front"]}]),
        link,
        hook.update_permanent_link(link["id"], items=["Front"]),
    ]
    assert [[item["instructions"] for item in one["items"]] for one in made] == [["Front"]] * 4


ITEMS_ADVICE = "Items are sent as photo_slots in the dialect `reference` and as items in `plugin`"


@pytest.mark.parametrize(
    ("other", "name"),
    [(("reference", "plugin"), "photo_slots"), (("plugin", "reference"), "items")],
    indirect=["other"],
)
def test_items_under_a_name_that_the_service_refuses_are_told(other, name):
    with pytest.raises(InvalidRequestError, match=ITEMS_ADVICE) as caught:
        other.create_photo_request("The car", items=["Front"])
    assert list(caught.value.fields) == [name]


def test_items_that_are_refused_for_what_they_are_say_so_by_the_name_they_have_here(sandbox, dialect):
    with pytest.raises(InvalidRequestError, match="must not have more than 50 items") as caught:
        VisionoHook().create_photo_request("The car", items=["Front"] * 51)
    # `items` needs no explanation: that is what the parameter is called.
    assert (ITEMS_ADVICE in str(caught.value)) is (dialect == "reference")


def test_what_was_deleted_ends_a_wait_in_either(sandbox, dialect):
    hook = VisionoHook()
    made = hook.create_photo_request("The car")
    hook.delete_photo_request(made["id"])
    word = {"reference": "deleted", "plugin": "cancelled"}[dialect]
    verdict, _ = hook.judge([made["id"]])
    assert (verdict.outcome, dict(verdict.ended)) == ("failed", {made["id"]: word})


def test_files_come_in_either(sandbox, dialect, tmp_path):
    hook = VisionoHook()
    made = hook.create_photo_request("The car", items=["Front"])
    submit(sandbox, made)
    manifest = hook.download_photos(made["id"], str(tmp_path))
    assert [file["item"] for file in manifest["files"]] == ["Front"]


def test_a_permanent_link_in_both_dialects(sandbox, dialect):
    hook, (path, verb) = VisionoHook(), LINK_NAMES[dialect]
    made = hook.create_permanent_link("Each damage", custom_slug="fleet", items=["Front"])
    assert hook.get_permanent_link(made["id"]) == made
    assert hook.update_permanent_link(made["id"], tags=["a"])["tags"] == ["a"]
    assert [one["id"] for one in hook.list_permanent_links()] == [made["id"]]
    hook.delete_permanent_link(made["id"])
    assert [(call["method"], call["route"]) for call in sandbox.calls()] == [
        ("POST", path),
        ("GET", f"{path}/{{id}}"),
        (verb, f"{path}/{{id}}"),
        ("GET", path),
        ("DELETE", f"{path}/{{id}}"),
    ]


def test_calls_for_submissions_use_the_dialect_s_path(sandbox, monkeypatch, tmp_path):
    for written, (path, _) in LINK_NAMES.items():
        connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect=written)
        hook = VisionoHook()
        link = hook.create_permanent_link("Each damage")
        left = leave(hook, link)
        assert hook.list_permanent_link_photos(link["id"])[0]["submission_id"] == left
        assert hook.download_permanent_link_photos(link["id"], str(tmp_path))["files"]
        assert hook.get_permanent_link_qr_code(link["id"])["qrcode_url"]
        for part in ("submissions", "download-urls", "qrcode"):
            assert sandbox.count("visiono", f"GET {path}/{{id}}/{part}") >= 1


PLUGIN_ONLY = {
    "batch": lambda hook: hook.create_photo_requests([{"instructions": "a"}]),
    "submissions": lambda hook: list(hook.list_submissions("req_1")),
    "download-urls": lambda hook: hook.get_download_urls("req_1"),
    "qrcode": lambda hook: hook.get_qr_code("req_1"),
    "link's submissions": lambda hook: list(hook.list_permanent_link_submissions("sl_1")),
    "link's photos": lambda hook: hook.list_permanent_link_photos("sl_1"),
    "link's download-urls": lambda hook: hook.get_permanent_link_download_urls("sl_1"),
    "link's qrcode": lambda hook: hook.get_permanent_link_qr_code("sl_1"),
    "webhooks": lambda hook: list(hook.list_webhooks()),
    "new webhook": lambda hook: hook.create_webhook("https://a.example", ["a"]),
    "webhook": lambda hook: hook.get_webhook("wh_1"),
    "webhook's change": lambda hook: hook.update_webhook("wh_1", is_active=True),
    "webhook's end": lambda hook: hook.delete_webhook("wh_1"),
    "webhook's test": lambda hook: hook.test_webhook("wh_1"),
    "events": lambda hook: hook.list_webhook_events(),
}


@pytest.mark.parametrize("other", [("reference", "reference")], indirect=True)
@pytest.mark.parametrize("call", PLUGIN_ONLY.values(), ids=PLUGIN_ONLY)
def test_a_service_without_the_plugin_s_calls_is_told(other, call):
    with pytest.raises(NotFoundError) as caught:
        call(other)
    for part in (
        "This service does not have the call",
        "which is in the vendor's plugin and not in its API reference",
        "set the connection's extra `dialect` to `plugin`",
        "connection visiono_default",
    ):
        assert part in str(caught.value)


REFERENCE_ONLY = {"status": VisionoHook.get_status, "stats": VisionoHook.get_stats}


@pytest.mark.parametrize("other", [("plugin", "plugin")], indirect=True)
@pytest.mark.parametrize("call", REFERENCE_ONLY.values(), ids=REFERENCE_ONLY)
def test_a_service_without_the_reference_s_calls_is_told(other, call):
    with pytest.raises(NotFoundError) as caught:
        call(other)
    for part in (
        "This service does not have the call, which is in the vendor's API reference and not in its plugin",
        "set the connection's extra `dialect` to `reference`",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "other", [("reference", "plugin"), ("plugin", "reference")], indirect=True, ids="-on-".join
)
@pytest.mark.parametrize(
    "call",
    [
        lambda hook: list(hook.list_permanent_links()),
        lambda hook: hook.create_permanent_link("a"),
        lambda hook: hook.get_permanent_link("sl_1"),
        lambda hook: hook.update_permanent_link("sl_1", is_active=True),
        lambda hook: hook.delete_permanent_link("sl_1"),
    ],
)
def test_a_service_that_calls_links_otherwise_is_told(other, call):
    away = {"reference": "plugin", "plugin": "reference"}[other.dialect]
    with pytest.raises(
        NotFoundError, match=f"Host is the API's base URL.* set the extra `dialect` to `{away}`"
    ):
        call(other)


@pytest.mark.parametrize("other", [("plugin", "plugin")], indirect=True)
def test_what_only_the_dialect_in_use_has_is_not_looked_for_in_the_other(other):
    with pytest.raises(NotFoundError, match=r"Check the id.*Host is the API's base URL\. \["):
        other.get_download_urls("pr_never")


@pytest.mark.parametrize("words", ["Not Found", "", "Nothing here."])
def test_a_404_in_other_words_leaves_both_possible(serve, connection, words):
    server = serve(*[Answer(404, {"message": words})] * 2)
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    with pytest.raises(NotFoundError, match="This service may not have the call"):
        hook.list_webhook_events()
    with pytest.raises(
        NotFoundError, match="there may be no such thing, or this service does not have the call"
    ):
        hook.get_webhook("wh_1")


@pytest.mark.parametrize("written", BASES)
@pytest.mark.parametrize(("host", "base"), [("", None), ("https://x.example/v2", "https://x.example/v2")])
def test_the_dialect_has_a_base_url_of_its_own(connection, written, host, base):
    config = VisionoHook(connection("my_visiono", host, "key12345", dialect=written)).config()
    assert config.base_url == (base or BASES[written])


def test_a_host_without_a_path_gets_the_dialect_s(connection):
    config = VisionoHook(connection("my_visiono", "eu.visiono.io", "key12345", dialect="plugin")).config()
    assert config.base_url == "https://eu.visiono.io/api/v1"


@pytest.mark.parametrize("given", [{}, {"dialect": ""}, {"dialect": None}, {"dialect": " Reference "}])
def test_the_reference_is_written_unless_told(connection, given):
    hook = VisionoHook(connection("my_visiono", "", "key12345", **given))
    assert (hook.dialect, hook.config().base_url) == ("reference", BASES["reference"])


@pytest.mark.parametrize("given", ["both", "smart", 5, ["plugin"]])
def test_another_dialect_is_refused(connection, given):
    with pytest.raises(InvalidRequestError, match="dialect must be reference or plugin"):
        VisionoHook(connection("my_visiono", "", "key12345", dialect=given)).config()


def test_the_test_button_works_in_either(sandbox, dialect):
    good, text = VisionoHook().test_connection()
    assert good, text
    asked = {"reference": "GET /status", "plugin": "GET /photo-requests"}[dialect]
    assert f"the key is accepted. {asked} answered" in text
    # Only the plugin names the call that lists webhooks.
    webhooks = {"reference": "GET (unknown)", "plugin": "GET /webhooks"}[dialect]
    assert sandbox.counters()["visiono"] == {asked: 1, webhooks: 1}


@pytest.mark.parametrize("other", [("reference", "plugin")], indirect=True)
def test_the_test_button_says_when_it_is_the_other(other):
    good, text = other.test_connection()
    assert not good
    assert "set the extra `dialect` to `plugin`" in text


def test_a_proxy_s_page_is_no_word_on_the_dialect(serve, connection):
    """Then the service may well have the call."""
    server = serve(*[Answer(404, b"<html>Not here</html>")] * 5)
    good, text = VisionoHook(connection("my_visiono", server.url, "key12345")).test_connection()
    assert not good
    assert "dialect" not in text
