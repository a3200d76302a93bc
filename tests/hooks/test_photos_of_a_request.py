"""Photos are found in both dialects."""

from __future__ import annotations

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import NotFoundError, PermissionDeniedError, ServiceError
from airflow_provider_visio.hooks.visiono import VisionoHook
from hooks.recipient import send_photo

URLS = "GET /photo-requests/{id}/download-urls"


@pytest.fixture
def submitted(sandbox, visiono):
    made = visiono.create_photo_request("The car", items=["Front", "Back"])
    send_photo(made, 0, gps=True)
    send_photo(made, 1, gps=False)
    sandbox.act(made["id"], "submit")
    return made["id"]


def test_the_plugin_s_dialect(sandbox, visiono, submitted):
    front, back = visiono.list_photos(submitted)
    assert (front["item"], back["item"]) == ("Front", "Back")
    assert front["item_id"].startswith("pri_")
    assert front["mime_type"] == "image/jpeg"
    assert front["size_kb"] > 0
    assert set(front["gps"]) == {"latitude", "longitude"}
    assert back["gps"] is None
    assert front["submitted_at"]
    assert front["url"].startswith(sandbox.storage_url)
    assert sandbox.count("visiono", URLS) == 1


def test_the_documentation_s_dialect_needs_no_second_call(sandbox, visiono, submitted):
    sandbox.settings(photos_in_request=True)
    front, back = visiono.list_photos(submitted)
    assert (front["item"], back["item"]) == ("Front", "Back")
    assert set(front["gps"]) == {"latitude", "longitude"}
    assert back["gps"] is None
    assert front["taken_at"]
    assert front["url"].startswith(sandbox.storage_url)
    assert sandbox.count("visiono", URLS) == 0


def test_the_documentation_s_dialect_alone_will_do(sandbox, visiono, submitted):
    sandbox.settings(photos_in_request=True, download_urls=False)
    assert len(visiono.list_photos(submitted)) == 2


def test_a_service_with_neither_has_no_photos(sandbox, visiono, submitted):
    sandbox.settings(photos_in_request=False, download_urls=False)
    assert visiono.list_photos(submitted) == []


@pytest.mark.parametrize("dialect", [True, False])
def test_a_request_nobody_has_answered_has_no_photos(sandbox, visiono, dialect):
    sandbox.settings(photos_in_request=dialect)
    assert visiono.list_photos(visiono.create_photo_request("The car")["id"]) == []


def test_photos_without_links_say_why(serve, connection):
    server = serve(
        Answer(200, {"data": {"id": "req_1", "status": "submitted", "photos": [{"id": "photo_1"}]}}),
        Answer(404, {"message": "Not found."}),
    )
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    with pytest.raises(PermissionDeniedError) as caught:
        hook.list_photos("req_1")
    for part in ("1 photos for req_1", "download_urls:read", "connection my_visiono"):
        assert part in str(caught.value)


def test_a_scope_that_the_key_lacks_is_told(sandbox, visiono, submitted):
    sandbox.settings(visiono_scopes=["photo_requests:read"])
    with pytest.raises(PermissionDeniedError, match="download_urls:read"):
        visiono.list_photos(submitted)


def test_a_service_that_is_down_is_not_a_request_without_photos(sandbox, visiono, submitted):
    sandbox.fault("visiono", "status", path="download-urls", status=503, times=None)
    with pytest.raises(ServiceError):
        visiono.list_photos(submitted)


def test_photos_of_a_request_that_is_gone_are_not_found(sandbox, visiono, submitted):
    sandbox.act(submitted, "delete")
    with pytest.raises(NotFoundError):
        visiono.list_photos(submitted)


def test_each_listing_has_fresh_links(sandbox, visiono, submitted):
    before = [photo["url"] for photo in visiono.list_photos(submitted)]
    sandbox.advance(60)
    assert [photo["url"] for photo in visiono.list_photos(submitted)] != before
