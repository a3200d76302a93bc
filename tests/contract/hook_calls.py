"""Calls of each public hook method, with usual arguments and with all arguments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pendulum

Sample = Callable[[Any, str], Any]

WHEN = pendulum.datetime(2026, 1, 15, 10, tz="Europe/Rome")
ITEMS = ["The whole car", {"instructions": "The dent", "is_required": False}]
EVENTS = ["photo_request.submitted", "photo_request.expired"]
SETTINGS = {
    "host": "db.example.com",
    "port": 5432,
    "database": "sales",
    "username": "vizdom_readonly",
    "password": "not-a-secret",
    "ssl_mode": "require",
}
ALL_OF_A_REQUEST = {
    "recipient_email": "customer@example.com",
    "send_email": True,
    "expires_in_hours": timedelta(hours=47, minutes=30),
    "items": ITEMS,
    "require_gps": True,
    "allow_submitter_notes": False,
    "internal_notes": "Claim 12345",
    "metadata": {"ticket_id": "12345", "nested": {"a": [1, None]}},
}
EXPORT_OPTIONS = {
    "filters": {"region": ["north"]},
    "parameters": {"year": 2026},
    "timezone": "Europe/Rome",
    "page": "A4 landscape",
}
ALL_OF_A_LINK = {
    "custom_slug": "fleet-inspection",
    "unique_field_label": "License Plate",
    "show_full_name_field": True,
    "full_name_required": False,
    "require_gps": True,
    "tags": ["fleet", "berlin"],
    "items": ITEMS,
}

# Each function gets the hook and a folder for files.
SAMPLES: dict[str, list[Sample]] = {
    "VisionoHook.get_status": [lambda hook, _: hook.get_status()],
    "VisionoHook.get_stats": [lambda hook, _: hook.get_stats()],
    "VisionoHook.list_photo_requests": [
        lambda hook, _: list(hook.list_photo_requests()),
        lambda hook, _: list(
            hook.list_photo_requests(
                status="submitted", created_after=WHEN, created_before=WHEN.add(days=1), page_size=50, limit=3
            )
        ),
    ],
    "VisionoHook.create_photo_request": [
        lambda hook, _: hook.create_photo_request("Please photograph the damage"),
        lambda hook, _: hook.create_photo_request("Please photograph the damage", **ALL_OF_A_REQUEST),
    ],
    "VisionoHook.create_photo_requests": [
        lambda hook, _: hook.create_photo_requests([{"instructions": "Please photograph the damage"}]),
        lambda hook, _: hook.create_photo_requests(
            [{"instructions": "Please photograph the damage", **ALL_OF_A_REQUEST}]
        ),
    ],
    "VisionoHook.get_photo_request": [
        lambda hook, _: hook.get_photo_request("req_abc123"),
        lambda hook, _: hook.get_photo_request("ABC123"),
    ],
    "VisionoHook.delete_photo_request": [lambda hook, _: hook.delete_photo_request("req_abc123")],
    "VisionoHook.list_submissions": [
        lambda hook, _: list(hook.list_submissions("req_abc123")),
        lambda hook, _: list(hook.list_submissions("req_abc123", limit=1)),
    ],
    "VisionoHook.get_download_urls": [lambda hook, _: hook.get_download_urls("req_abc123")],
    "VisionoHook.get_qr_code": [lambda hook, _: hook.get_qr_code("req_abc123")],
    "VisionoHook.list_photos": [lambda hook, _: hook.list_photos("req_abc123")],
    "VisionoHook.download_photos": [lambda hook, folder: hook.download_photos("req_abc123", folder)],
    "VisionoHook.find_listed_photo_requests": [
        lambda hook, _: hook.find_listed_photo_requests([f"req_{number}" for number in range(4)])
    ],
    "VisionoHook.find_photo_requests": [
        lambda hook, _: hook.find_photo_requests({"ticket_id": "1"}, since=WHEN.timestamp())
    ],
    "VisionoHook.list_created_since": [lambda hook, _: list(hook.list_created_since(WHEN.timestamp()))],
    "VisionoHook.judge": [lambda hook, _: hook.judge(["req_abc123"])],
    "VisionoHook.list_permanent_links": [
        lambda hook, _: list(hook.list_permanent_links()),
        lambda hook, _: list(hook.list_permanent_links(is_active=True, tags=["fleet", "berlin"], limit=1)),
    ],
    "VisionoHook.create_permanent_link": [
        lambda hook, _: hook.create_permanent_link("Photograph the vehicle"),
        lambda hook, _: hook.create_permanent_link("Photograph the vehicle", **ALL_OF_A_LINK),
    ],
    "VisionoHook.get_permanent_link": [lambda hook, _: hook.get_permanent_link("sl_1")],
    "VisionoHook.update_permanent_link": [
        lambda hook, _: hook.update_permanent_link("sl_1", is_active=False),
        lambda hook, _: hook.update_permanent_link(
            "sl_1", instructions="Photograph the van", **ALL_OF_A_LINK
        ),
        lambda hook, _: hook.update_permanent_link("sl_1", custom_slug=None, unique_field_label=None),
    ],
    "VisionoHook.delete_permanent_link": [lambda hook, _: hook.delete_permanent_link("sl_1")],
    "VisionoHook.list_permanent_link_submissions": [
        lambda hook, _: list(hook.list_permanent_link_submissions("sl_1")),
        lambda hook, _: list(hook.list_permanent_link_submissions("sl_1", limit=1)),
    ],
    "VisionoHook.list_permanent_link_photos": [
        lambda hook, _: hook.list_permanent_link_photos("sl_1"),
        lambda hook, _: hook.list_permanent_link_photos("sl_1", submission_ids=["pls_123"]),
    ],
    "VisionoHook.get_permanent_link_download_urls": [
        lambda hook, _: hook.get_permanent_link_download_urls("sl_1")
    ],
    "VisionoHook.get_permanent_link_qr_code": [lambda hook, _: hook.get_permanent_link_qr_code("sl_1")],
    "VisionoHook.download_permanent_link_photos": [
        lambda hook, folder: hook.download_permanent_link_photos("sl_1", folder),
        lambda hook, folder: hook.download_permanent_link_photos("sl_1", folder, submission_ids=["pls_123"]),
    ],
    "VisionoHook.list_webhooks": [
        lambda hook, _: list(hook.list_webhooks()),
        lambda hook, _: list(hook.list_webhooks(limit=1)),
    ],
    "VisionoHook.create_webhook": [
        lambda hook, _: hook.create_webhook("https://example.com:8443/visiono?team=1", EVENTS)
    ],
    "VisionoHook.ensure_webhook": [
        lambda hook, _: hook.ensure_webhook("https://airflow.example.com/visio/webhooks/visiono_default")
    ],
    "VisionoHook.get_webhook": [lambda hook, _: hook.get_webhook("wh_1")],
    "VisionoHook.update_webhook": [
        lambda hook, _: hook.update_webhook("wh_1", is_active=False),
        lambda hook, _: hook.update_webhook(
            "wh_1", url="https://example.com/visiono", events=EVENTS, is_active=True
        ),
    ],
    "VisionoHook.delete_webhook": [lambda hook, _: hook.delete_webhook("wh_1")],
    "VisionoHook.test_webhook": [lambda hook, _: hook.test_webhook("wh_1")],
    "VisionoHook.list_webhook_events": [lambda hook, _: hook.list_webhook_events()],
    "VizdomHook.list_dashboards": [lambda hook, _: list(hook.list_dashboards())],
    "VizdomHook.get_dashboard": [lambda hook, _: hook.get_dashboard("dash_abc123")],
    "VizdomHook.create_dashboard": [
        lambda hook, _: hook.create_dashboard("Q4 Revenue Overview"),
        lambda hook, _: hook.create_dashboard("Q4 Revenue Overview", description="Executive summary"),
    ],
    "VizdomHook.create_export": [
        lambda hook, _: hook.create_export("dash_abc123", "pdf"),
        lambda hook, _: hook.create_export("dash_abc123", "CSV"),
        lambda hook, _: hook.create_export("dash_abc123", "pdf", EXPORT_OPTIONS),
    ],
    "VizdomHook.get_export": [lambda hook, _: hook.get_export("exp_1")],
    "VizdomHook.download_export": [lambda hook, folder: hook.download_export("exp_1", folder)],
    "VizdomHook.judge": [lambda hook, _: hook.judge(["exp_1"])],
    "VizdomHook.list_data_sources": [lambda hook, _: list(hook.list_data_sources())],
    "VizdomHook.create_data_source": [
        lambda hook, _: hook.create_data_source("Sales", "postgresql", SETTINGS),
        lambda hook, _: hook.create_data_source("Sales", "bigquery", {"project": "sales"}),
    ],
    "VizdomHook.test_data_source": [lambda hook, _: hook.test_data_source("ds_1")],
    "VizdomHook.delete_data_source": [lambda hook, _: hook.delete_data_source("ds_1")],
    "VizdomHook.list_members": [lambda hook, _: list(hook.list_members())],
    "VizdomHook.invite_member": [lambda hook, _: hook.invite_member("bob@example.com", "viewer")],
}

_FILTER = "only the plugin has the filter; a service without it ignores it, and the hook reports that"
_NO_OTHER = (
    "only the plugin has the call; a service without it answers 404, and the error names the other dialect"
)
_NOWHERE = (
    "no page has the call under this name, but photos of a link have no other call; the 404 is as above"
)
_HEALTH = (
    "only the reference has the call; a service without it answers 404, and the error names the other dialect"
)
# Calls and filters that the provider sends although the connection's dialect does not have them, with reasons.
BEYOND: dict[str, dict[str, str]] = {
    "reference": {
        "listPhotoRequests status": _FILTER,
        "listPhotoRequests created_after": _FILTER,
        "listPhotoRequests created_before": _FILTER,
        "listPermanentLinks is_active": _FILTER,
        "listPermanentLinks tags": _FILTER,
        "createPhotoRequests": _NO_OTHER,
        "listSubmissions": _NO_OTHER,
        "getDownloadUrls": _NO_OTHER,
        "getQrCode": _NO_OTHER,
        "listPermanentLinkSubmissions": _NOWHERE,
        "getPermanentLinkDownloadUrls": _NOWHERE,
        "getPermanentLinkQrCode": _NOWHERE,
        "listWebhooks": _NO_OTHER,
        "createWebhook": _NO_OTHER,
        "getWebhook": _NO_OTHER,
        "updateWebhook": _NO_OTHER,
        "deleteWebhook": _NO_OTHER,
        "testWebhook": _NO_OTHER,
        "listWebhookEvents": _NO_OTHER,
    },
    "plugin": {"getStatus": _HEALTH, "getStats": _HEALTH},
}

# Methods without a documented call of their own.
SILENT = {
    "build_workflow_url": "signs without a call",
    "verify_workflow_return": "verifies without a call",
    "check_open": "checks a reply",
    "with_longest_wait": "reads the connection",
    "contract": "reads the connection",
    "dialect": "reads the connection",
    "dashboard_url": "reads the connection",
    "request": "sends any call",
    "request_pages": "sends any call",
    "test_connection": "calls get_status or a list",
    "config": "reads the connection",
    "async_config": "reads the connection",
    "get_conn": "reads the connection",
    "collect_lineage": "for Airflow's lineage",
    "get_async_conn": "reads the connection",
    "get_polling_conn": "reads the connection",
    "get_ui_field_behaviour": "for Airflow's UI",
    "get_connection_form_widgets": "for Airflow's UI",
}
# Methods that send a call indirectly, so the document does not name them for it.
ON_THE_WAY = {
    "VisionoHook.find_listed_photo_requests",
    "VisionoHook.find_photo_requests",
    "VisionoHook.list_created_since",
    "VisionoHook.judge",
    "VisionoHook.list_photos",
    "VisionoHook.download_photos",
    "VisionoHook.list_permanent_link_photos",
    "VisionoHook.download_permanent_link_photos",
    "VisionoHook.ensure_webhook",
    "VizdomHook.judge",
}
