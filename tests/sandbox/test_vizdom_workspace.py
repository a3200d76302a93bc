"""Vizdom's dashboards, data sources and team, as far as the help pages tell of them."""

import pytest

DATABASE = {
    "host": "db.example.com",
    "port": 5432,
    "database": "shop",
    "username": "bi",
    "password": "pw-12345",
}
SOURCE = {"name": "Shop", "type": "postgresql", "settings": DATABASE}


def made(sandbox, path, body):
    reply = sandbox.vizdom("POST", path, body)
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]


def without(name):
    return {key: value for key, value in DATABASE.items() if key != name}


def test_a_dashboard_is_created_listed_and_exported(sandbox):
    board = made(sandbox, "/dashboards", {"name": "Claims <R&D", "description": "By week"})
    assert (
        board.items() >= {"name": "Claims <R&D", "description": "By week", "visualization_count": 0}.items()
    )
    assert sandbox.vizdom("GET", f"/dashboards/{board['id']}").json()["data"] == board
    listed = sandbox.vizdom("GET", "/dashboards").json()
    assert (listed["meta"], listed["data"][-1]) == ({"total": 4}, board)
    for wanted in ("csv", "png", "pdf"):
        job = made(sandbox, "/exports", {"dashboard_id": board["id"], "format": wanted})
        sandbox.advance(5)
        link = sandbox.vizdom("GET", f"/exports/{job['id']}").json()["data"]["download_url"]
        assert sandbox.session.get(link, timeout=20).status_code == 200


def test_a_data_source_is_created_tested_and_deleted(sandbox):
    source = made(sandbox, "/data-sources", SOURCE)
    assert source.items() >= {"name": "Shop", "type": "postgresql", "status": "untested"}.items()
    assert "pw-12345" not in str(source)
    tested = sandbox.vizdom("POST", f"/data-sources/{source['id']}/test").json()["data"]
    assert tested == {"id": source["id"], "status": "success", "message": "Connected."}
    listed = sandbox.vizdom("GET", "/data-sources").json()
    assert listed["meta"] == {"total": 1}
    assert listed["data"][0]["status"] == "connected"
    assert sandbox.vizdom("DELETE", f"/data-sources/{source['id']}").status_code == 204
    for method, path in (("DELETE", source["id"]), ("POST", f"{source['id']}/test")):
        assert sandbox.vizdom(method, f"/data-sources/{path}").status_code == 404
    assert sandbox.vizdom("GET", "/data-sources").json()["data"] == []


def test_a_host_that_does_not_answer_fails_the_test_and_is_no_error(sandbox):
    body = {**SOURCE, "settings": {**DATABASE, "host": "unreachable.example"}}
    source = made(sandbox, "/data-sources", body)
    reply = sandbox.vizdom("POST", f"/data-sources/{source['id']}/test")
    assert reply.status_code == 200
    assert reply.json()["data"]["status"] == "error"
    assert "unreachable.example" in reply.json()["data"]["message"]


def test_an_invite_is_pending_for_seven_days(sandbox):
    body = {"email": "new@example.com", "role": "viewer"}
    invite = made(sandbox, "/invites", body)
    assert invite.items() >= {**body, "status": "pending"}.items()
    assert len(sandbox.vizdom("GET", "/members").json()["data"]) == 3
    again = sandbox.vizdom("POST", "/invites", body | {"email": "NEW@example.com"})
    assert (again.status_code, "already invited" in again.text) == (422, True)
    sandbox.advance(7 * 86_400)
    assert made(sandbox, "/invites", body)["id"] != invite["id"]


def test_a_member_is_not_invited_again(sandbox):
    member = sandbox.vizdom("GET", "/members").json()["data"][1]
    reply = sandbox.vizdom("POST", "/invites", {"email": member["email"], "role": "admin"})
    assert (reply.status_code, "already a member" in reply.text) == (422, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/dashboards", {}, 400, "name"),
        ("/dashboards", {"name": " "}, 422, "name"),
        ("/dashboards", {"name": 5}, 422, "name"),
        ("/dashboards", {"name": "a", "colour": "red"}, 422, "colour"),
        ("/data-sources", {"name": "a", "type": "postgresql"}, 400, "settings"),
        ("/data-sources", {**SOURCE, "type": "oracle"}, 422, "type"),
        ("/data-sources", {**SOURCE, "settings": without("host")}, 400, "settings.host"),
        ("/data-sources", {**SOURCE, "settings": {**DATABASE, "port": 0}}, 422, "settings.port"),
        ("/data-sources", {**SOURCE, "settings": {**DATABASE, "hots": "x"}}, 422, "settings.hots"),
        ("/invites", {"email": "a@example.com"}, 400, "role"),
        ("/invites", {"role": "viewer"}, 400, "email"),
        ("/invites", {"email": "nobody", "role": "viewer"}, 422, "email"),
        ("/invites", {"email": "a@example.com", "role": "owner"}, 422, "role"),
    ],
)
def test_bodies_are_strict(sandbox, path, body, status, field):
    reply = sandbox.vizdom("POST", path, body)
    assert reply.status_code == status, reply.text
    assert f"'{field}'" in reply.json()["error"]["message"]
    assert "pw-12345" not in reply.text


def test_other_sources_take_any_settings(sandbox):
    made(
        sandbox,
        "/data-sources",
        {"name": "a", "type": "rest_api", "settings": {"url": "https://x.example.com"}},
    )


@pytest.mark.parametrize(
    ("role", "dashboards", "sources", "invites"),
    [("admin", 201, 201, 201), ("editor", 201, 201, 403), ("viewer", 403, 403, 403)],
)
@pytest.mark.parametrize("by", ["setting", "key"])
def test_a_key_has_its_creator_s_role(sandbox, role, dashboards, sources, invites, by):
    if by == "setting":
        sandbox.settings(vizdom_role=role)
    else:
        sandbox.control("PUT", "/keys", {"vizdom_roles": {"vzd_test": role}})
    replies = [
        sandbox.vizdom("POST", "/dashboards", {"name": "a"}),
        sandbox.vizdom("POST", "/data-sources", SOURCE),
        sandbox.vizdom("POST", "/invites", {"email": "a@example.com", "role": "viewer"}),
    ]
    assert [reply.status_code for reply in replies] == [dashboards, sources, invites]


def test_keys_of_two_people_have_two_roles(sandbox):
    sandbox.control("PUT", "/keys", {"vizdom": ["of-ada", "of-vic"], "vizdom_roles": {"of-vic": "viewer"}})
    answers = [
        sandbox.vizdom("GET", "/members", key=key).status_code for key in ("of-ada", "of-vic", "vzd_test")
    ]
    assert answers == [200, 403, 401]
