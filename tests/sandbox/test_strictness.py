import pytest

LONG = "x" * 5001
ITEM = {"instructions": "Front"}


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({}, "instructions", "The instructions field is required."),
        ({"instructions": ""}, "instructions", "The instructions field is required."),
        ({"instructions": "  "}, "instructions", "The instructions field is required."),
        ({"instructions": 3}, "instructions", "The instructions field must be a string."),
        ({"instructions": None}, "instructions", "The instructions field must be a string."),
        (
            {"instructions": LONG},
            "instructions",
            "The instructions field must not be greater than 5000 characters.",
        ),
        ({"nonsense": 1}, "nonsense", "The nonsense field is prohibited."),
        ({"expires_in_hours": "24"}, "expires_in_hours", "The expires in hours field must be an integer."),
        ({"expires_in_hours": 1.5}, "expires_in_hours", "The expires in hours field must be an integer."),
        ({"expires_in_hours": 0}, "expires_in_hours", "The expires in hours field must be at least 1."),
        (
            {"expires_in_hours": 8761},
            "expires_in_hours",
            "The expires in hours field must not be greater than 8760.",
        ),
        ({"expires_in_hours": None}, "expires_in_hours", "The expires in hours field must be an integer."),
        (
            {"recipient_email": "someone"},
            "recipient_email",
            "The recipient email field must be a valid email address.",
        ),
        (
            {"recipient_email": "a b@c.de"},
            "recipient_email",
            "The recipient email field must be a valid email address.",
        ),
        (
            {"send_email": True},
            "recipient_email",
            "The recipient email field is required when send email is true.",
        ),
        ({"send_email": "yes"}, "send_email", "The send email field must be true or false."),
        ({"require_gps": 1}, "require_gps", "The require gps field must be true or false."),
        ({"internal_notes": []}, "internal_notes", "The internal notes field must be a string."),
        ({"metadata": "x"}, "metadata", "The metadata field must be an object."),
        ({"metadata": []}, "metadata", "The metadata field must be an object."),
        (
            {"metadata": {"a": "x" * 65536}},
            "metadata",
            "The metadata field must not be greater than 64 kilobytes.",
        ),
        ({"items": {}}, "items", "The items field must be an array."),
        ({"items": ["Front"]}, "items.0", "The items.0 field must be an object."),
        ({"items": [{}]}, "items.0.instructions", "The items.0.instructions field is required."),
        ({"items": [{**ITEM, "x": 1}]}, "items.0.x", "The items.0.x field is prohibited."),
        ({"items": [{**ITEM, "is_required": 0}]}, "items.0.is_required", "must be true or false."),
        ({"items": [ITEM] * 51}, "items", "The items field must not have more than 50 items."),
        ({"items": [ITEM], "photo_slots": [ITEM]}, "items", "prohibited when photo slots is present."),
    ],
)
def test_bad_photo_request(sandbox, body, field, text):
    complete = body if "instructions" in body or not body else {"instructions": "Show the dent", **body}
    reply = sandbox.visiono("POST", "/photo-requests", complete)
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert (error["code"], error["message"]) == ("validation_error", "The given data was invalid.")
    assert list(error["details"]) == [field]
    assert error["details"][field][0].endswith(text)
    assert sandbox.control("GET", "/photo-requests") == []


def test_every_bad_field_is_named(sandbox):
    reply = sandbox.visiono("POST", "/photo-requests", {"send_email": 1, "foo": 2})
    assert set(reply.json()["error"]["details"]) == {"instructions", "send_email", "foo"}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b'{"instructions": NaN}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"instructions": "x", "metadata": {"a": 1e999}}',
        b'{"instructions": "\\ud800"}',
    ],
)
def test_invalid_json_is_400(sandbox, content):
    for call in (sandbox.visiono, sandbox.vizdom):
        path = "/photo-requests" if call == sandbox.visiono else "/exports"
        base = "visiono_url" if call == sandbox.visiono else "vizdom_url"
        headers = {
            "X-API-Key": "vsk_live_test",
            "Authorization": "Bearer vzd_test",
            "Content-Type": "application/json",
        }
        reply = sandbox.call(base, "POST", path, data=content, headers=headers)
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["code"] == "bad_request"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_body_of_another_type_is_400(sandbox, content_type):
    headers = {"X-API-Key": "vsk_live_test", "Content-Type": content_type}
    reply = sandbox.call(
        "visiono_url", "POST", "/photo-requests", data='{"instructions": "x"}', headers=headers
    )
    assert reply.status_code == 400
    assert "Content-Type" in reply.json()["error"]["message"]


def test_charset_in_the_content_type_is_fine(sandbox):
    headers = {"X-API-Key": "vsk_live_test", "Content-Type": "application/json; charset=utf-8"}
    body = '{"instructions": "Z\u00e4hler"}'.encode()
    reply = sandbox.call("visiono_url", "POST", "/photo-requests", data=body, headers=headers)
    assert reply.json()["data"]["instructions"] == "Z\u00e4hler"


@pytest.mark.parametrize("key", [None, "", "wrong", "vzd_test"])
def test_wrong_visiono_key(sandbox, key):
    reply = sandbox.visiono("GET", "/status", key=key)
    assert (reply.status_code, reply.json()) == (401, {"message": "Unauthenticated."})


def test_visiono_wants_its_own_header(sandbox):
    reply = sandbox.visiono("GET", "/status", key=None, headers={"Authorization": "Bearer vsk_live_test"})
    assert reply.status_code == 401


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_wrong_vizdom_key(sandbox, key):
    reply = sandbox.vizdom("GET", "/dashboards", key=key)
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "unauthorized"


def test_paths_that_do_not_exist(sandbox):
    reply = sandbox.visiono("GET", "/photo-request")
    assert (reply.status_code, reply.json()) == (
        404,
        {"message": "The route photo-request could not be found."},
    )
    reply = sandbox.vizdom("GET", "/boards")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_methods_that_do_not_exist(sandbox):
    reply = sandbox.visiono("PUT", "/photo-requests")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST")
    assert reply.json()["message"].startswith("The PUT method is not supported")
    reply = sandbox.vizdom("DELETE", "/dashboards")
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "method_not_allowed")


def test_unknown_query_parameters_are_ignored(sandbox):
    assert sandbox.visiono("GET", "/photo-requests?nonsense=1").status_code == 200


def test_scopes(sandbox):
    sandbox.settings(visiono_scopes=["photo_requests:read"])
    assert sandbox.visiono("GET", "/photo-requests").status_code == 200
    reply = sandbox.visiono("POST", "/photo-requests", {"instructions": "x"})
    assert (reply.status_code, list(reply.json())) == (403, ["message"])


def test_viewers_have_no_api(sandbox):
    sandbox.settings(vizdom_role="viewer")
    reply = sandbox.vizdom("GET", "/dashboards")
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "forbidden")
