"""Vizdom's dashboards, data sources and team by the hook: what goes there, what comes back, and what stays secret."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.sdk.log import redact
from api.local_server import DROP, Answer

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.hooks.vizdom import VizdomHook

PASSWORD = "cor rect-horse/battery"
DATABASE = {
    "host": "db.example.com",
    "port": 5432,
    "database": "shop",
    "username": "bi",
    "password": PASSWORD,
}
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqh\nkiG9w0BAQEFAASCBK\n-----END KEY-----\n"


@pytest.fixture
def shop(monkeypatch):
    fields = {
        "conn_type": "postgres",
        "host": "db.example.com",
        "port": 5432,
        "schema": "shop",
        "login": "bi",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**fields, "password": PASSWORD}))
    return "shop"


def test_create_a_dashboard(vizdom):
    made = vizdom.create_dashboard(" Claims ", description="By week")
    assert made.items() >= {"name": "Claims", "description": "By week"}.items()
    assert vizdom.get_dashboard(made["id"]) == made
    assert [board["id"] for board in vizdom.list_dashboards()][-1] == made["id"]


def test_a_dashboard_may_have_fields_that_we_do_not_know(vizdom):
    with pytest.raises(InvalidRequestError, match="Field 'colour' is not known"):
        vizdom.create_dashboard("Claims", colour="red")


def test_create_list_test_and_delete_a_data_source(sandbox, vizdom):
    made = vizdom.create_data_source("Shop", "postgresql", DATABASE)
    assert made.items() >= {"name": "Shop", "type": "postgresql", "status": "untested"}.items()
    assert vizdom.test_data_source(made["id"]) == {
        "id": made["id"], "success": True, "status": "success", "message": "Connected.",
    }  # fmt: skip
    assert [source["status"] for source in vizdom.list_data_sources()] == ["connected"]
    assert vizdom.delete_data_source(made["id"]) is None
    assert list(vizdom.list_data_sources()) == []
    for call in (vizdom.delete_data_source, vizdom.test_data_source):
        with pytest.raises(NotFoundError, match="does not exist"):
            call(made["id"])


def test_a_test_that_fails_is_no_error_of_the_hook(vizdom):
    made = vizdom.create_data_source("Shop", "postgresql", {**DATABASE, "host": "unreachable.example"})
    found = vizdom.test_data_source(made["id"])
    assert (found["success"], "timed out" in found["message"]) == (False, True)


@pytest.mark.parametrize(
    ("status", "data", "success", "message"),
    [
        (200, {"status": True}, True, ""),
        (200, {"status": False, "message": "no  route"}, False, "no route"),
        (200, {"status": "FAILED", "error": {"code": "x", "message": "no route"}}, False, "no route"),
        (200, {"status": "Error", "error": {"code": "no_route"}}, False, "no_route"),
        (200, {"status": "queued"}, None, ""),
        (200, {}, None, ""),
        (200, {"status": "error", "message": "https://x.test/a?signature=s"}, False, "https://x.test/a?..."),
    ],
)
def test_what_a_service_may_say_of_a_test(serve, connection, status, data, success, message):
    server = serve(Answer(status, {"data": data}))
    found = VizdomHook(connection("my_vizdom", server.url, "key12345")).test_data_source("s-1")
    assert (found["id"], found["success"], found["message"]) == ("s-1", success, message)


NO_WORD = pytest.mark.parametrize("answer", [Answer(204), Answer(200), Answer(202, b" \n")])


@NO_WORD
@pytest.mark.parametrize("verb", ["POST", "PATCH"])
def test_a_test_answered_without_a_word_has_passed(serve, connection, answer, verb):
    contract = {"test_data_source_verb": verb}
    hook = VizdomHook(connection("my_vizdom", serve(answer).url, "key12345", contract=contract))
    assert hook.test_data_source("s-1")["success"] is True


@NO_WORD
@pytest.mark.parametrize("verb", ["POST", "DELETE"])
def test_a_deletion_may_be_answered_without_a_word(serve, connection, answer, verb):
    contract = {"delete_data_source_verb": verb}
    hook = VizdomHook(connection("my_vizdom", serve(answer).url, "key12345", contract=contract))
    assert hook.delete_data_source("s-1") is None


@NO_WORD
def test_an_invite_may_be_answered_without_a_word(serve, connection, answer):
    server = serve(answer)
    assert (
        VizdomHook(connection("my_vizdom", server.url, "key12345")).invite_member("a@b.example", "viewer")
        == {}
    )
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("data", "contract", "expected"),
    [
        ({}, {}, None),
        ({"id": None}, {}, None),
        ({"id": ""}, {}, None),
        ({"id": 7}, {}, "7"),
        ({"status": "pending"}, {"invite_id_field": ""}, None),
        ({"code": "c-1"}, {"invite_id_field": "code"}, "c-1"),
    ],
)
def test_an_invite_has_the_id_that_the_service_gives(serve, connection, data, contract, expected):
    server = serve(Answer(201, {"data": data}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=contract))
    made = hook.invite_member("a@b.example", "viewer")
    assert made.get("id") == expected
    assert ("id" in made) == (expected is not None)


@pytest.mark.parametrize("data", [[], "sent"])
def test_an_invite_answered_with_something_else_is_not_understood(serve, connection, data):
    hook = VizdomHook(connection("my_vizdom", serve(Answer(200, {"data": data})).url, "key12345"))
    with pytest.raises(UnexpectedReplyError, match="without an object") as caught:
        hook.invite_member("a@b.example", "viewer")
    assert caught.value.ambiguous


@NO_WORD
@pytest.mark.parametrize("make", ["dashboard", "source"])
def test_what_is_made_must_come_back(serve, connection, answer, make):
    hook = VizdomHook(connection("my_vizdom", serve(answer).url, "key12345"))
    with pytest.raises(UnexpectedReplyError) as caught:
        MAKES[make](hook)
    assert caught.value.ambiguous


def test_a_test_answered_with_a_list_is_not_understood(serve, connection):
    hook = VizdomHook(connection("my_vizdom", serve(Answer(200, {"data": []})).url, "key12345"))
    with pytest.raises(UnexpectedReplyError, match="without an object"):
        hook.test_data_source("s-1")


def test_settings_come_from_an_airflow_connection(serve, connection, shop):
    server = serve(Answer(201, {"data": {"id": "s-1"}}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345"))
    hook.create_data_source("Shop", "postgresql", {"ssl_mode": "require", "port": 6000}, source_conn_id=shop)
    assert json.loads(server.received[0].body) == {
        "name": "Shop",
        "type": "postgresql",
        "settings": {**DATABASE, "port": 6000, "ssl_mode": "require"},
    }


def test_a_connection_that_is_not_there_says_so(sandbox, vizdom):
    with pytest.raises(InvalidRequestError, match="source_conn_id: the connection 'nowhere' is not defined"):
        vizdom.create_data_source("Shop", "postgresql", source_conn_id="nowhere")
    assert sandbox.calls() == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("", "mysql", DATABASE), "name"),
        (("Shop", " ", DATABASE), "source_type"),
        (("Shop", "mysql", {}), "settings"),
        (("Shop", "mysql"), "settings"),
    ],
)
def test_what_lacks_is_refused_before_any_call(sandbox, vizdom, arguments, field):
    with pytest.raises(InvalidRequestError) as caught:
        vizdom.create_data_source(*arguments)
    assert list(caught.value.fields) == [field]
    assert sandbox.calls() == []


def echo(status):
    """A service that repeats all that it is sent, in its message and in its fields."""

    def answer(request):
        sent = json.loads(request.body)
        secret = sent["settings"].get("password") or sent["settings"]["credentials"]["private_key"]
        if status < 300:
            return Answer(status, {"data": {"id": "s-1", "password": secret, **sent}})
        text = f"cannot use {secret} or {json.dumps(sent)}"
        return Answer(
            status, {"error": {"code": "x", "message": text, "details": {"settings": [secret, text]}}}
        )

    return answer


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
@pytest.mark.parametrize("settings", [DATABASE, {"host": "h", "credentials": {"private_key": PEM}}])
def test_no_error_repeats_a_secret(serve, connection, caplog, status, settings):
    caplog.set_level(logging.DEBUG)
    hook = VizdomHook(connection("my_vizdom", serve(echo(status)).url, "key12345"))
    with pytest.raises(VisioProviderError, match="cannot use") as caught:
        hook.create_data_source("Shop", "postgresql", settings)
    told = f"{caught.value} {getattr(caught.value, 'fields', '')} {caplog.text}"
    for secret in (PASSWORD, "MIIEvQIBADANBgkqh", "kiG9w0BAQEFAASCBK"):
        assert secret not in told
    assert "***" in told


@pytest.mark.parametrize("contract", [{}, {"source_settings_field": ""}, {"password_field": "passphrase"}])
@pytest.mark.parametrize("password", [PASSWORD, "pw-12345"])
def test_a_reply_that_repeats_the_settings_comes_back_without_secrets(
    serve, connection, monkeypatch, contract, password
):
    def answer(request):
        if request.method == "GET":
            return Answer(200, {"data": sent, "meta": {"total": 1}})
        sent.append({"id": "s-1", **json.loads(request.body)})
        return Answer(201, {"data": sent[0]})

    sent: list[dict[str, object]] = []
    fields = {"conn_type": "postgres", "host": "db.example.com", "login": "bi", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(fields))
    hook = VizdomHook(connection("my_vizdom", serve(answer).url, "key12345", contract=contract))
    made = hook.create_data_source("Shop", "postgresql", source_conn_id="shop")
    for told in (made, *hook.list_data_sources()):
        assert password not in str(told)
        assert "db.example.com" in str(told)
    assert password in str(sent)


HIDDEN = {
    "Password": "hidden-1", "db_passwd": "hidden-2", "clientSecret": "hidden-3", "access_token": "hidden-4",
    "private_key": ["hidden-5"], "credentials": {"kind": "hidden-6"}, "api-key": "hidden-7", "pin_passcode": 4711,
    "address": "postgresql://bi:hid/den@8@db.example.com/shop", "DSN": "hidden-9", "keyfile_json": {"a": "hidden-10"},
}  # fmt: skip
SHOWN = {"host": "db.example.com", "has_password": True, "tables": ["claims"], "port": 5432, "at": "10:30"}


@pytest.mark.parametrize(
    "told",
    [
        {**SHOWN, **HIDDEN},
        {"connection": {**SHOWN, **HIDDEN}},
        {"connections": [{"options": {**SHOWN, **HIDDEN}}]},
        {"settings": {"host": {**SHOWN, **HIDDEN}, "kept": HIDDEN}},
    ],
    ids=["beside the name", "in an object", "deep in a list", "in the settings"],
)
def test_what_is_named_as_a_secret_comes_back_from_no_call(serve, connection, told):
    def answer(request):
        one = {"id": "s-1", **told}
        return Answer(200, {"data": [one] if request.method == "GET" else one})

    hook = VizdomHook(connection("my_vizdom", serve(answer).url, "key12345"))
    made = hook.create_data_source("Shop", "postgresql", {"host": "h"})
    for found in (made, *hook.list_data_sources(), hook.test_data_source("s-1")):
        text = str(found)
        assert not [word for word in ("hidden", "hid/den", "den@8", "4711") if word in text]
        assert "postgresql://bi:***@db.example.com/shop" in text
        assert "'tables': ['claims']" in text
        for name in ("host", "has_password", "port", "at"):
            assert f"{name!r}: {SHOWN[name]!r}" in text
        assert found["id"] == "s-1"


def test_a_field_that_the_contract_names_is_no_secret(serve, connection):
    contract = {"source_id_field": "source_key", "source_status_field": "token_status"}
    server = serve(Answer(200, {"data": {"source_key": "s-1", "token_status": "good", "key": "hidden"}}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=contract))
    made = hook.create_data_source("Shop", "postgresql", {"host": "h"})
    assert (made["id"], made["status"], made["key"]) == ("s-1", "good", "***")


def test_what_is_secret_in_settings_is_masked_in_logs(vizdom):
    words = {"password": "masked-password", "token": "masked-token"}
    settings = {**DATABASE, "host": "shown.example.com"}
    with pytest.raises(InvalidRequestError):
        vizdom.create_data_source("Shop", "postgresql", {**settings, **words})
    text = redact("masked-password masked-token shown.example.com")
    assert text == "*** *** shown.example.com"


def test_list_members_and_invite_one(vizdom):
    assert {member["role"] for member in vizdom.list_members()} == {"admin", "editor", "viewer"}
    invite = vizdom.invite_member("new@example.com", " Editor ")
    assert invite.items() >= {"email": "new@example.com", "role": "editor", "status": "pending"}.items()


@pytest.mark.parametrize("role", ["owner", "", None, ["admin"]])
def test_an_unknown_role_makes_no_call(sandbox, vizdom, role):
    with pytest.raises(InvalidRequestError, match="is not one of admin, editor, viewer"):
        vizdom.invite_member("new@example.com", role)
    assert sandbox.calls() == []


@pytest.mark.parametrize("email", ["ada@example.com", "new@example.com"])
def test_an_address_that_is_there_is_refused_and_not_told(vizdom, email):
    if email.startswith("new"):
        vizdom.invite_member(email, "viewer")
    with pytest.raises(InvalidRequestError, match=r"<address> is already (a member|invited)") as caught:
        vizdom.invite_member(email, "viewer")
    assert email not in str(caught.value)


MAKES = {
    "dashboard": lambda hook: hook.create_dashboard("Claims"),
    "source": lambda hook: hook.create_data_source("Shop", "postgresql", DATABASE),
    "invite": lambda hook: hook.invite_member("new@example.com", "viewer"),
}


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_lost_reply_is_not_asked_for_again(serve, connection, make):
    server = serve(DROP)
    with pytest.raises(ConnectionFailedError, match="may or may not have done it") as caught:
        make(VizdomHook(connection("my_vizdom", server.url, "key12345")))
    assert caught.value.ambiguous
    assert len(server.received) == 1


@pytest.mark.parametrize(("role", "makes"), [("editor", ["invite"]), ("viewer", MAKES)])
def test_a_role_that_may_not_is_told_whose_key_it_takes(sandbox, vizdom, role, makes):
    sandbox.settings(vizdom_role=role)
    for make in makes:
        with pytest.raises(PermissionDeniedError) as caught:
            MAKES[make](vizdom)
        for part in (
            "answered 403",
            "Put the key of an Admin",
            "Editors everything except invite",
            "connection vizdom_default",
        ):
            assert part in str(caught.value)


def test_an_editor_may_all_but_invite(sandbox, vizdom):
    sandbox.settings(vizdom_role="editor")
    vizdom.create_dashboard("Claims")
    source = vizdom.create_data_source("Shop", "postgresql", DATABASE)
    vizdom.test_data_source(source["id"])
    vizdom.delete_data_source(source["id"])


def test_a_key_whose_maker_is_demoted_stops_in_the_middle(sandbox, vizdom):
    source = vizdom.create_data_source("Shop", "postgresql", DATABASE)
    sandbox.settings(vizdom_role="viewer")
    with pytest.raises(PermissionDeniedError, match="restore the user's role"):
        vizdom.test_data_source(source["id"])


def test_a_key_that_is_revoked_in_the_middle_says_what_to_do(sandbox, vizdom):
    source = vizdom.create_data_source("Shop", "postgresql", DATABASE)
    sandbox.keys(vizdom=[])
    with pytest.raises(
        AuthenticationError, match=r"Check the API key .* revoked or regenerated.*Settings > API Keys"
    ):
        vizdom.test_data_source(source["id"])
    with pytest.raises(AuthenticationError):
        vizdom.create_dashboard("Claims")


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_key_that_is_regenerated_in_the_middle_is_read_again(sandbox, vizdom, connection, make):
    list(vizdom.list_members())
    sandbox.keys(vizdom=["vzd_regenerated"])
    connection("vizdom_default", sandbox.vizdom_url, "vzd_regenerated")
    assert make(vizdom)["id"]
