"""Plans, scopes and keys: what each refusal tells to do."""

from __future__ import annotations

import json

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitedError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook


def test_the_free_plan_has_no_dates(sandbox, visiono):
    sandbox.settings(plan="free")
    assert (
        visiono.get_stats()["usage"].items()
        >= {
            "is_lifetime_quota": True,
            "billing_period_start": None,
            "billing_period_end": None,
        }.items()
    )


def use_up(sandbox, visiono):
    """Have somebody send all the photos of a free plan."""
    sandbox.settings(plan="paid")
    for _ in range(2):
        made = visiono.create_photo_request("All of it")
        for _ in range(50):
            sandbox.act(made["id"], "upload")
    sandbox.settings(plan="free")


def test_a_used_up_quota_says_that_a_retry_will_not_help(sandbox, visiono):
    use_up(sandbox, visiono)
    usage = visiono.get_stats()["usage"]
    assert usage["photos_used"] == usage["photos_limit"] == 100
    with pytest.raises(PermissionDeniedError) as caught:
        visiono.create_photo_request("One more")
    for part in ("a retry will not help", "get_stats()", "quota is for life", "upgrade the plan"):
        assert part in str(caught.value)
    assert "scope" not in str(caught.value)
    assert sandbox.counters()["visiono"]["POST /photo-requests"] == 3


@pytest.mark.parametrize("status", [402, 403, 422])
@pytest.mark.parametrize(
    ("words", "quota"),
    [
        ("Monthly photo quota exceeded.", True),
        ("Your plan limit has been reached.", True),
        ("All photos are used up", True),
        ("The limit of your plan has been reached.", True),
        ("The monthly limit is exceeded.", True),
        ("The instructions field is required.", False),
        ("The instructions length exceeded 500 characters.", False),
        ("The limit of 20 items was exceeded.", False),
        ("Items limit reached.", False),
        ("Your patience is exhausted.", False),
        ("Forbidden", False),
    ],
)
def test_a_quota_is_known_by_the_service_s_words(serve, connection, status, words, quota):
    server = serve(Answer(status, {"message": words}))
    denied = quota or status in {402, 403}
    with pytest.raises(PermissionDeniedError if denied else InvalidRequestError) as caught:
        VisionoHook(connection("my_visiono", server.url, "key12345")).create_photo_request("A photo")
    assert ("a retry will not help" in str(caught.value)) is quota
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("words", "quota"),
    [
        ("Monthly photo quota exceeded.", True),
        ("The 100 photos of the free plan are used up.", True),
        ("Your lifetime limit has been reached.", True),
        ("Too Many Attempts.", False),
        ("Rate limit exceeded.", False),
        ("Quota exceeded.", False),
        ("Quota exceeded: 60 photos a minute.", False),
        ("Photo request limit reached.", False),
        ("", False),
    ],
)
def test_a_429_is_about_the_rate_of_calls_unless_it_speaks_of_the_plan(serve, connection, words, quota):
    server = serve(Answer(429, {"message": words}, {"Retry-After": "1209600"}))
    with pytest.raises(PermissionDeniedError if quota else RateLimitedError) as caught:
        VisionoHook(connection("my_visiono", server.url, "key12345")).create_photo_request("A photo")
    assert ("a retry will not help" in str(caught.value)) is quota
    assert ("accepts calls again in about 1209600 s" in str(caught.value)) is not quota
    assert len(server.received) == 1


def test_a_look_is_never_refused_for_the_quota(serve, connection):
    server = serve(Answer(429, {"message": "Monthly photo quota exceeded."}, {"Retry-After": "1209600"}))
    with pytest.raises(RateLimitedError):
        VisionoHook(connection("my_visiono", server.url, "key12345")).get_stats()


@pytest.mark.parametrize("field", ["recipient_email", "photo_requests.3.send_email"])
def test_a_plan_without_e_mail_says_so_for_one_and_for_several(serve, connection, field):
    server = serve(Answer(422, {"message": "It is prohibited.", "errors": {field: ["Please upgrade."]}}))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    for asks in (
        lambda: hook.create_photo_request("A photo"),
        lambda: hook.create_photo_requests([{"instructions": "A photo"}]),
    ):
        with pytest.raises(InvalidRequestError, match="This plan does not send e-mail: leave out") as caught:
            asks()
        assert list(caught.value.fields) == [field]


def test_the_free_plan_has_no_permanent_links(sandbox, visiono):
    sandbox.settings(plan="free")
    with pytest.raises(PermissionDeniedError, match="The plan does not include this: upgrade it") as caught:
        visiono.create_permanent_link("Each damage")
    assert "scope" not in str(caught.value)


SCOPES = {
    "photo_requests:read": lambda hook: hook.get_photo_request("req_1"),
    "photo_requests:write": lambda hook: hook.create_photo_request("A photo"),
    "submissions:read": lambda hook: list(hook.list_submissions("req_1")),
    "download_urls:read": lambda hook: hook.get_download_urls("req_1"),
    "smart_links:read": lambda hook: list(hook.list_permanent_links()),
    "smart_links:write": lambda hook: hook.create_permanent_link("a"),
    "webhooks:read": lambda hook: hook.list_webhook_events(),
    "webhooks:write": lambda hook: hook.create_webhook("https://a.example", ["photo_request.expired"]),
}
MORE = [
    ("photo_requests:read", lambda hook: list(hook.list_photo_requests())),
    ("photo_requests:read", lambda hook: hook.get_qr_code("req_1")),
    ("photo_requests:write", lambda hook: hook.delete_photo_request("req_1")),
    ("photo_requests:write", lambda hook: hook.create_photo_requests([{"instructions": "a"}])),
    ("smart_links:read", lambda hook: hook.get_permanent_link("sl_1")),
    ("smart_links:read", lambda hook: hook.get_permanent_link_qr_code("sl_1")),
    ("smart_links:write", lambda hook: hook.update_permanent_link("sl_1", is_active=True)),
    ("smart_links:write", lambda hook: hook.delete_permanent_link("sl_1")),
    ("submissions:read", lambda hook: list(hook.list_permanent_link_submissions("sl_1"))),
    ("download_urls:read", lambda hook: hook.get_permanent_link_download_urls("sl_1")),
    ("webhooks:read", lambda hook: list(hook.list_webhooks())),
    ("webhooks:read", lambda hook: hook.get_webhook("wh_1")),
    ("webhooks:write", lambda hook: hook.update_webhook("wh_1", is_active=True)),
    ("webhooks:write", lambda hook: hook.delete_webhook("wh_1")),
    ("webhooks:write", lambda hook: hook.test_webhook("wh_1")),
]


@pytest.mark.parametrize(("scope", "call"), [*SCOPES.items(), *MORE])
def test_a_missing_scope_is_named_with_where_to_change_it(sandbox, visiono, scope, call):
    sandbox.settings(visiono_scopes=[other for other in SCOPES if other != scope])
    with pytest.raises(PermissionDeniedError) as caught:
        call(visiono)
    told = f"The call needs the scope {scope}: see API Keys in Visiono's dashboard, or use another key."
    assert told in str(caught.value)
    assert len(sandbox.calls()) == 1


def test_the_scope_is_named_although_the_service_does_not(serve, connection):
    server = serve(Answer(403, {"message": "Forbidden"}))
    with pytest.raises(PermissionDeniedError, match="needs the scope download_urls:read"):
        VisionoHook(connection("my_visiono", server.url, "key12345")).get_download_urls("req_1")


def turn(sandbox, action, key):
    return sandbox.control("POST", f"/keys/visiono/{action}", {"key": key})["key"]


def put(monkeypatch, sandbox, key):
    fields = {"conn_type": "visiono", "host": sandbox.visiono_url, "password": key}
    monkeypatch.setenv("AIRFLOW_CONN_VISIONO_DEFAULT", json.dumps(fields))


@pytest.mark.parametrize("action", ["deactivate", "regenerate"])
def test_a_key_that_ends_midway_is_asked_for_once_more(sandbox, visiono, action):
    made = visiono.create_photo_request("A photo")
    turn(sandbox, action, sandbox.visiono_key)
    with pytest.raises(AuthenticationError) as caught:
        visiono.get_photo_request(made["id"])
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 2
    for part in (
        "mistyped, revoked or regenerated",
        "See API Keys in Visiono's dashboard whether it is active",
        "A new key works as soon as it is in the connection",
        "connection visiono_default",
    ):
        assert part in str(caught.value)
    assert sandbox.visiono_key not in str(caught.value)


def test_a_regenerated_key_works_once_it_is_in_the_connection(sandbox, visiono, monkeypatch):
    made = visiono.create_photo_request("A photo")
    new = turn(sandbox, "regenerate", sandbox.visiono_key)
    put(monkeypatch, sandbox, new)
    assert visiono.get_photo_request(made["id"])["id"] == made["id"]


def test_a_key_that_is_activated_again_works_at_once(sandbox, visiono):
    visiono.get_status()
    turn(sandbox, "deactivate", sandbox.visiono_key)
    with pytest.raises(AuthenticationError):
        visiono.get_status()
    turn(sandbox, "activate", sandbox.visiono_key)
    assert visiono.get_status() == {"status": "ok"}
