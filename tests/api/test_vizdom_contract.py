"""The table of Vizdom's assumed calls: each row has its evidence, and can be replaced by a connection."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_visio.api.vizdom_contract import VizdomContract, rows
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.hooks.vizdom import VizdomHook
from api.local_server import Answer, LocalServer, Received

NAMES = [row.name for row in rows()]

# What each call is used with, by the beginning of its rows' names.
CALLS: dict[str, Any] = {
    "dashboard": lambda hook: hook.get_dashboard("d-1"),
    "create_dashboard": lambda hook: hook.create_dashboard("Claims", description="By week"),
    "start": lambda hook: hook.create_export("d-1", "pdf"),
    "export": lambda hook: hook.get_export("e-1"),
    "data_sources": lambda hook: list(hook.list_data_sources()),
    "create_data_source": lambda hook: hook.create_data_source("Shop", "mysql", {"host": "h"}),
    "test_data_source": lambda hook: hook.test_data_source("s-1"),
    "delete_data_source": lambda hook: hook.delete_data_source("s-1"),
    "members": lambda hook: list(hook.list_members()),
    "invite": lambda hook: hook.invite_member("a@example.com", "editor"),
}


@pytest.fixture
def shop(monkeypatch) -> str:
    """An Airflow connection to a database."""
    fields = {
        "conn_type": "mysql",
        "host": "h",
        "port": 3306,
        "schema": "shop",
        "login": "bi",
        "password": "pw-12345",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(fields))
    return "shop"


# What the service answers: something under every reply field, and what a replaced row names.
ONE = {
    "id": "x-1", "dashboard_id": "d", "name": "n", "type": "t", "status": "success", "created_at": "c",
    "email": "a@example.com", "role": "viewer", "download_url": "u", "expires_at": "e", "error": "r",
    "message": "m", "settings": {}, "zz": "theirs",
}  # fmt: skip


@pytest.fixture
def talk(serve, connection):
    """Return a function that makes one call under some changes to the contract, and tells what was sent and read."""

    def make(call: str, **changes: Any) -> tuple[Received, Any]:
        server: LocalServer = serve(
            Answer(200, {"data": [ONE] if call in {"data_sources", "members"} else ONE})
        )
        result = CALLS[call](VizdomHook(connection("my_vizdom", server.url, "key12345", contract=changes)))
        return server.received[0], result

    return make


def test_each_row_says_how_surely_it_is_known_and_why():
    assert {row.evidence for row in rows()} == {"inferred", "assumed"}
    assert all(len(row.why) > 10 for row in rows())
    assert len(set(NAMES)) == len(NAMES)


def test_a_connection_s_table_has_its_own_values():
    mine = {row.name: row.value for row in rows(replace(VizdomContract(), invite_path="/team/invites"))}
    assert mine["invite_path"] == "/team/invites"
    assert mine["members_path"] == "/members"


def body_of(request: Received) -> dict[str, Any]:
    return json.loads(request.body)


VERBS = {"GET": "POST", "POST": "PATCH", "DELETE": "POST"}


@pytest.mark.parametrize("call", CALLS)
def test_each_verb_can_be_replaced(talk, call):
    before = talk(call)[0].method
    assert talk(call, **{f"{call}_verb": VERBS[before].lower()})[0].method == VERBS[before]


@pytest.mark.parametrize("call", CALLS)
def test_each_path_can_be_replaced(talk, call):
    path = getattr(VizdomContract(), f"{call}_path")
    last = talk(call, **{f"{call}_path": f"/team{path}/zz"})[0].path
    assert last == f"/v1/team{path.format(dashboard_id='d-1', export_id='e-1', data_source_id='s-1')}/zz"


SENT = {
    "dashboard_name_field": ("create_dashboard", "name", "Claims"),
    "dashboard_description_field": ("create_dashboard", "description", "By week"),
    "dashboard_field": ("start", "dashboard_id", "d-1"),
    "format_field": ("start", "format", "pdf"),
    "source_name_field": ("create_data_source", "name", "Shop"),
    "source_type_field": ("create_data_source", "type", "mysql"),
    "source_settings_field": ("create_data_source", "settings", {"host": "h"}),
    "email_field": ("invite", "email", "a@example.com"),
    "role_field": ("invite", "role", "editor"),
}


@pytest.mark.parametrize("name", SENT)
def test_each_field_that_is_sent_can_be_replaced(talk, name):
    call, usual_name, value = SENT[name]
    assert body_of(talk(call)[0])[usual_name] == value
    body = body_of(talk(call, **{name: "zz"})[0])
    assert body["zz"] == value
    assert usual_name not in body


SETTINGS = {
    "host_field": "h",
    "port_field": 3306,
    "database_field": "shop",
    "username_field": "bi",
    "password_field": "pw-12345",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_that_a_connection_gives_can_be_replaced(serve, connection, shop, name):
    server = serve(Answer(200, {"data": ONE}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract={name: "zz"}))
    hook.create_data_source("Shop", "mysql", source_conn_id=shop)
    settings = body_of(server.received[0])["settings"]
    assert settings["zz"] == SETTINGS[name]
    assert len(settings) == 5


READ = {
    "dashboard_id_field": ("create_dashboard", "id"),
    "id_field": ("export", "id"),
    "dashboard_field": ("start", "dashboard_id"),
    "status_field": ("export", "status"),
    "url_field": ("export", "download_url"),
    "expires_field": ("export", "expires_at"),
    "error_field": ("export", "error"),
    "source_id_field": ("create_data_source", "id"),
    "source_name_field": ("data_sources", "name"),
    "source_type_field": ("data_sources", "type"),
    "source_status_field": ("create_data_source", "status"),
    "source_created_field": ("data_sources", "created_at"),
    "test_status_field": ("test_data_source", "status"),
    "test_message_field": ("test_data_source", "message"),
    "member_id_field": ("members", "id"),
    "email_field": ("members", "email"),
    "role_field": ("members", "role"),
    "invite_id_field": ("invite", "id"),
    "invite_status_field": ("invite", "status"),
}


@pytest.mark.parametrize("name", READ)
def test_each_field_that_is_read_can_be_replaced(talk, name):
    call, ours = READ[name]

    def value(result: Any) -> Any:
        return (result[0] if isinstance(result, list) else result)[ours]

    assert value(talk(call)[1]) != "theirs"
    assert value(talk(call, **{name: "zz"})[1]) == "theirs"


def test_each_list_of_words_can_be_replaced(talk, serve, connection):
    assert talk("test_data_source", test_status_field="zz")[1]["success"] is None
    assert (
        talk("test_data_source", test_status_field="zz", test_passed_words=["Theirs"])[1]["success"] is True
    )
    assert (
        talk("test_data_source", test_status_field="zz", test_failed_words=["THEIRS"])[1]["success"] is False
    )
    assert body_of(talk("start", formats=["PDF"])[0])["format"] == "PDF"
    assert body_of(talk("start", formats={" Pdf": " Portable "})[0])["format"] == "Portable"
    with pytest.raises(InvalidRequestError, match="is not one of xlsx"):
        talk("start", formats=["xlsx"])
    assert body_of(talk("invite", roles=["Editor", "Guest"])[0])["role"] == "Editor"
    with pytest.raises(InvalidRequestError, match="is not one of member"):
        talk("invite", roles=["member"])


@pytest.mark.parametrize(("name", "word", "outcome"), [
    ("done_words", "theirs", "done"), ("failed_words", "theirs", "failed"), ("open_words", "theirs", "wait"),
])  # fmt: skip
def test_each_list_of_an_export_s_words_can_be_replaced(serve, connection, caplog, name, word, outcome):
    server = serve(Answer(200, {"data": ONE}))
    contract = {"status_field": "zz", name: [word]}
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=contract))
    assert hook.judge(["x-1"])[0].outcome == outcome
    assert "not known" not in caplog.text


# The names of the rows that say where the links of several files are, and a reply by them.
MANY = {
    "urls_field": {"zz": ["theirs"]},
    "files_field": {"zz": [{"url": "theirs"}]},
    "file_url_field": {"files": [{"url": "u", "zz": "theirs"}]},
    "file_name_field": {"files": [{"url": "theirs", "name": "n", "zz": "called"}]},
}


@pytest.mark.parametrize("name", MANY)
def test_each_field_of_several_files_can_be_replaced(serve, connection, name):
    server = serve(
        Answer(200, {"data": {"id": "e-1", "status": "completed", "download_url": "u", **MANY[name]}})
    )

    def files(**changes: str) -> Any:
        hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=changes))
        return hook.get_export("e-1")["files"]

    called = "called" if name == "file_name_field" else None
    assert files(**{name: "zz"}) == [{"url": "theirs", "name": called}]
    assert files() != [{"url": "theirs", "name": called}]


def test_an_export_s_options_may_be_in_a_field_of_their_own(serve, connection):
    server = serve(Answer(200, {"data": ONE}))
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract={"options_field": "zz"}))
    hook.create_export("d-1", "pdf", {"format": "A4"})
    hook.create_export("d-1", "pdf")
    assert [body_of(one) for one in server.received] == [
        {"dashboard_id": "d-1", "format": "pdf", "zz": {"format": "A4"}},
        {"dashboard_id": "d-1", "format": "pdf"},
    ]


def test_these_tests_have_every_row():
    """``invited_words`` is in tests/operators/test_vizdom.py, with the operator that reads them."""
    tested = (
        {f"{call}_{part}" for call in CALLS for part in ("verb", "path")}
        | set(SENT)
        | set(SETTINGS)
        | set(READ)
    )
    words = {
        "formats",
        "roles",
        "test_passed_words",
        "test_failed_words",
        "done_words",
        "failed_words",
        "open_words",
    }
    assert set(NAMES) - tested - words - set(MANY) - {"options_field"} == {"invited_words"}


def test_settings_may_stand_beside_the_name(talk):
    assert body_of(talk("create_data_source", source_settings_field="")[0]) == {
        "name": "Shop", "type": "mysql", "host": "h",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"invit_path": "/x"}, "'invit_path' is not one of its names; did you mean 'invite_path'"),
        ({"start_pth": "/x"}, "did you mean 'start_path'"),
        ({"qqqqqq": "/x"}, "They are create_dashboard_path, .*, username_field"),
        ({"invite_verb": "GET"}, "invite_verb: Input should be 'POST', 'PUT' or 'PATCH'"),
        (
            {"create_dashboard_verb": "DELETE"},
            "create_dashboard_verb: Input should be 'POST', 'PUT' or 'PATCH'",
        ),
        ({"data_sources_verb": "DELETE"}, "data_sources_verb: Input should be 'GET' or 'POST'"),
        (
            {"invite_path": "/invites/{email}"},
            "invite_path: it must be a path below the base URL, without placeholders",
        ),
        (
            {"test_data_source_path": "/test"},
            r"test_data_source_path: it must be a path .*, with no placeholder but \{data_source_id\}",
        ),
        ({"email_field": " "}, "email_field: String should have at least 1 character"),
        ({"roles": "viewer"}, "roles: Input should be a valid tuple"),
        ({"roles": ["viewer", " "]}, "roles: String should have at least 1 character"),
        ({"invited_words": [""]}, "invited_words: String should have at least 1 character"),
        ({"roles": []}, "roles: Tuple should have at least 1 item"),
        ({"formats": []}, "formats: .* should have at least 1 item"),
        ({"formats": {}}, "formats: .* should have at least 1 item"),
        ({"formats": "pdf"}, "formats: Input should be a valid dictionary"),
        ({"formats": {"pdf": 1}}, "formats: Input should be a valid string"),
        ({"formats": {"pdf": " "}}, "formats: String should have at least 1 character"),
        (
            {"formats": ["excel"]},
            r"formats: it has 'excel'.* pdf, png, csv, jpg, xlsx; .*\{\"xlsx\": \"Excel\"\}",
        ),
        ({"formats": ["pdf", "svg"]}, "formats: it has 'svg', but files that can be verified are"),
        ({"formats": {"excel": "xlsx"}}, "formats: it has 'excel'"),
        ({"formats": {"png": "Image", "jpg": "image"}}, "formats: it must not have one twice"),
        ({"formats": ["pdf", "PDF"]}, "formats: it must not have one twice"),
        ({"done_words": []}, "done_words: Tuple should have at least 1 item"),
        ({"role_field": "email"}, "email_field and role_field must not be the same"),
        ({"format_field": " dashboard_id"}, "dashboard_field and format_field must not be the same"),
        ({"options_field": "format"}, "format_field and options_field must not be the same"),
        (
            {"dashboard_name_field": "description"},
            "dashboard_name_field and dashboard_description_field must",
        ),
        (
            {"source_settings_field": "type"},
            "source_type_field and source_settings_field must not be the same",
        ),
        ({"database_field": "host"}, "host_field and database_field must not be the same"),
        (
            {"source_settings_field": "", "database_field": "name"},
            "source_name_field and database_field must not be the same",
        ),
        ({"data_sources_path": "/s?type=db#top"}, "data_sources_path: it must be a path below the base URL"),
        ({"members_path": 5}, "members_path: Input should be a valid string"),
        ({"id_field": None}, "id_field: Input should be a valid string"),
        ({"done_words": [5]}, "done_words: Input should be a valid string"),
        ({"members_path": "members"}, "members_path: it must be a path below the base URL"),
        ({"start_path": "/x/{dashboard_id!r}"}, "start_path: it must be a path below the base URL"),
        ({"members_path": "/../members"}, "members_path: it must be a path below the base URL"),
        ({"members_path": "/%2E%2e/members"}, "members_path: it must be a path below the base URL"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_by_its_name(changes, advice):
    with pytest.raises(InvalidRequestError, match=advice):
        VizdomContract.with_changes(changes)


@pytest.mark.parametrize("empty", ["", " "])
def test_an_export_names_its_dashboard_in_the_body_or_in_the_path(empty):
    with pytest.raises(InvalidRequestError, match=r"start_path must hold \{dashboard_id\}"):
        VizdomContract.with_changes({"dashboard_field": empty})
    for path in ("/dashboards/{dashboard_id}/export", "/exports?dashboard={dashboard_id}"):
        assert VizdomContract.with_changes({"dashboard_field": empty, "start_path": path}).start_path == path


def test_the_table_shows_the_words_that_are_sent():
    contract = VizdomContract.with_changes({"formats": {"xlsx": "Excel", "pdf": "PDF"}})
    assert next(row.value for row in rows(contract) if row.name == "formats") == ("Excel", "PDF")


def test_what_one_call_names_twice_another_may_call_the_same():
    changes = {"member_id_field": "email", "database_field": "name", "test_message_field": "status"}
    assert VizdomContract.with_changes(changes).member_id_field == "email"


def test_blanks_around_a_word_do_not_count():
    changes = {"id_field": " zz ", "error_field": " ", "formats": [" XLSX "], "roles": [" Guest "]}
    contract = VizdomContract.with_changes(changes)
    assert (contract.id_field, contract.error_field) == ("zz", "")
    assert (contract.formats, contract.roles) == ({"xlsx": "XLSX"}, ("Guest",))


@pytest.mark.parametrize("call", CALLS)
def test_a_path_may_have_a_query(talk, call):
    path = getattr(VizdomContract(), f"{call}_path")
    usual = talk(call)[0].path
    assert talk(call, **{f"{call}_path": f"{path}?type=db&x="})[0].path == f"{usual}?type=db&x="


def test_a_path_s_query_goes_with_each_page(serve, connection):
    server = serve(Answer(200, {"data": [ONE]}), Answer(200, {"data": []}))
    contract = {"data_sources_path": "/s?type=db"}
    hook = VizdomHook(connection("my_vizdom", server.url, "key12345", contract=contract))
    assert len(list(hook.list_data_sources())) == 1
    assert [one.path for one in server.received] == ["/v1/s?type=db", "/v1/s?type=db&page=2"]


def test_the_dashboard_of_an_export_may_be_in_a_query(talk):
    sent, _ = talk("start", dashboard_field="", start_path="/exports?dashboard={dashboard_id}")
    assert sent.path == "/v1/exports?dashboard=d-1"
    assert body_of(sent) == {"format": "pdf"}
