import re
from datetime import datetime

import pytest


def test_created_request_has_the_documented_fields(sandbox):
    reply = sandbox.visiono(
        "POST",
        "/photo-requests",
        {
            "instructions": "Front and rear",
            "expires_in_hours": 24,
            "metadata": {"ticket_id": "12345", "deep": {"list": [1, None]}},
            "items": [
                {"instructions": "Front", "is_required": True},
                {"instructions": "Rear", "is_required": False},
            ],
        },
    )
    assert reply.status_code == 201
    body = reply.json()
    assert set(body) == {"data", "meta"}
    assert body["meta"]["request_id"].startswith("req_")
    made = body["data"]
    assert made["id"].startswith("req_")
    assert re.fullmatch("[A-Z0-9]{6}", made["unique_code"])
    assert re.fullmatch("[0-9]{6}", made["numeric_code"])
    assert made["status"] == "pending"
    assert made["request_url"] == f"{sandbox.info['url']}/p/{made['unique_code'].lower()}"
    assert made["code_entry_url"] == f"{sandbox.info['url']}/code"
    assert made["metadata"] == {"ticket_id": "12345", "deep": {"list": [1, None]}}
    assert [(item["instructions"], item["is_required"]) for item in made["items"]] == [
        ("Front", True),
        ("Rear", False),
    ]
    assert made["items"][0]["id"].startswith("pri_")
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert (expires - created).total_seconds() == 24 * 3600


def test_minimal_request(sandbox):
    made = sandbox.ask()
    assert (made["items"], made["metadata"], made["recipient_email"]) == ([], None, None)
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert (expires - created).total_seconds() == 72 * 3600


def test_photo_slots_is_another_name_for_items(sandbox):
    made = sandbox.ask(photo_slots=[{"instructions": "Meter"}])
    assert [item["instructions"] for item in made["items"]] == ["Meter"]


@pytest.mark.parametrize("name", ["id", "unique_code", "numeric_code"])
def test_get_by_id_or_code(sandbox, name):
    made = sandbox.ask()
    assert sandbox.get(f"/photo-requests/{made[name]}") == made
    assert sandbox.get(f"/photo-requests/{made['unique_code'].lower()}") == made


def test_deleted_request_is_gone_with_its_photos(sandbox):
    made = sandbox.ask()
    sandbox.act(made, "upload")
    url = sandbox.photos(made)[0]["download_url"]
    reply = sandbox.visiono("DELETE", f"/photo-requests/{made['id']}")
    assert (reply.status_code, reply.content) == (204, b"")
    for method in ("GET", "DELETE"):
        again = sandbox.visiono(method, f"/photo-requests/{made['id']}")
        assert (again.status_code, again.json()) == (404, {"message": "Photo request not found."})
    assert sandbox.session.get(url).status_code == 404
    assert sandbox.page("GET", f"/p/{made['unique_code']}").status_code == 404


def test_delete_may_answer_with_a_body(sandbox):
    sandbox.settings(delete_reply="body")
    made = sandbox.ask()
    reply = sandbox.visiono("DELETE", f"/photo-requests/{made['id']}")
    assert (reply.status_code, reply.json()["data"]["id"]) == (200, made["id"])


def test_expiry_follows_the_virtual_clock(sandbox):
    made = sandbox.ask(expires_in_hours=2)
    sandbox.advance(2 * 3600 - 1)
    assert sandbox.status(made) == "pending"
    sandbox.advance(1)
    assert sandbox.status(made) == "expired"
    assert sandbox.kinds() == ["request_created", "request_expired"]


def test_expiry_after_a_few_photos(sandbox):
    made = sandbox.ask(items=[{"instructions": "Front"}, {"instructions": "Rear"}])
    sandbox.act(made, "upload")
    assert sandbox.status(made) == "in_progress"
    sandbox.advance(72 * 3600)
    assert sandbox.status(made) == "expired"
    assert len(sandbox.photos(made)) == 1


def test_submissions_and_download_urls(sandbox):
    made = sandbox.ask(items=[{"instructions": "Front"}, {"instructions": "Rear"}])
    assert sandbox.photos(made) == []
    sandbox.act(made, "upload", item=1)
    sandbox.act(made, "upload", item=made["items"][0]["id"], gps=False)
    reply = sandbox.visiono("GET", f"/photo-requests/{made['id']}/download-urls").json()
    assert reply["meta"]["urls_valid_for"] == "24 hours"
    assert reply["meta"]["expires_in_seconds"] == 86400
    assert reply["data"]["photo_request_id"] == made["id"]
    rear, front = reply["data"]["submissions"]
    assert rear["item_id"] == made["items"][1]["id"]
    assert rear["has_gps_data"] is True
    assert -90 <= rear["gps_latitude"] <= 90
    assert front["has_gps_data"] is False
    assert "gps_latitude" not in front
    assert rear["mime_type"] == "image/jpeg"
    assert 100 < rear["file_size_kb"] < 500
    listed = sandbox.get(f"/photo-requests/{made['id']}/submissions")
    assert [one["id"] for one in listed] == [rear["id"], front["id"]]
    assert "download_url" not in listed[0]


def test_photos_in_the_request_itself(sandbox):
    sandbox.settings(photos_in_request=True)
    made = sandbox.ask()
    assert made["photos"] == []
    sandbox.act(made, "upload")
    (photo,) = sandbox.get(f"/photo-requests/{made['id']}")["photos"]
    assert set(photo) == {"id", "url", "slot_instructions", "metadata"}
    assert set(photo["metadata"]) == {"captured_at", "gps_lat", "gps_lng"}
    assert sandbox.session.get(photo["url"]).content.startswith(b"\xff\xd8")


def test_download_urls_can_be_missing(sandbox):
    sandbox.settings(download_urls=False)
    made = sandbox.ask()
    reply = sandbox.visiono("GET", f"/photo-requests/{made['id']}/download-urls")
    assert reply.status_code == 404
    assert "could not be found" in reply.json()["message"]


def test_download_urls_of_an_open_request_can_be_missing(sandbox):
    sandbox.settings(download_urls_of_open="missing")
    made = sandbox.ask()
    sandbox.act(made, "upload")
    assert sandbox.visiono("GET", f"/photo-requests/{made['id']}/download-urls").status_code == 404
    sandbox.act(made, "submit")
    assert len(sandbox.photos(made)) == 1


def test_plugin_style_of_ids_and_times(sandbox):
    sandbox.settings(request_id_style="pr")
    first, second = sandbox.ask(), sandbox.ask()
    assert (first["id"], second["id"]) == ("pr_1", "pr_2")
    assert first["created_at"].endswith("+00:00")
    sandbox.act(first, "upload")
    assert sandbox.photos(first)[0]["id"].startswith("ps_")


def test_replies_without_meta(sandbox):
    sandbox.settings(meta=False)
    assert set(sandbox.visiono("GET", "/status").json()) == {"data"}


def test_batch_is_all_or_nothing(sandbox):
    bodies = [{"instructions": f"Photo {n}"} for n in range(10)]
    reply = sandbox.visiono("POST", "/photo-requests/batch", {"photo_requests": bodies})
    assert reply.status_code == 201
    assert [one["instructions"] for one in reply.json()["data"]] == [f"Photo {n}" for n in range(10)]
    too_many = sandbox.visiono("POST", "/photo-requests/batch", {"photo_requests": [*bodies, bodies[0]]})
    assert too_many.status_code == 422
    wrong = sandbox.visiono("POST", "/photo-requests/batch", {"photo_requests": [bodies[0], {}]})
    assert list(wrong.json()["error"]["details"]) == ["photo_requests.1.instructions"]
    assert len(sandbox.control("GET", "/photo-requests")) == 10


def test_qr_code_is_a_picture(sandbox):
    made = sandbox.ask()
    url = sandbox.get(f"/photo-requests/{made['id']}/qrcode")["qrcode_url"]
    assert url.endswith(f"/qr/{made['unique_code']}.png")
    picture = sandbox.session.get(url)
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_email_is_recorded_only_when_asked_for(sandbox):
    sandbox.ask(recipient_email="one@example.com")
    made = sandbox.ask(recipient_email="two@example.com", send_email=True)
    (mail,) = sandbox.control("GET", "/emails")
    assert (mail["to"], mail["request_id"]) == ("two@example.com", made["id"])
    assert made["request_url"] in mail["text"]


def test_account(sandbox):
    assert sandbox.get("/status") == {"status": "ok"}
    stats = sandbox.get("/stats")
    assert stats["plan"]["email_enabled"] is True
    assert stats["usage"]["is_lifetime_quota"] is False
    assert stats["usage"]["billing_period_start"] < stats["usage"]["billing_period_end"]
