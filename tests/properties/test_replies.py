"""Whatever a service answers is read as data or as an error of ours."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import strategies as st

from airflow_provider_visio.api.call import Reply, call
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.rate_limit import RateLimit
from airflow_provider_visio.api.reply import read_reply, redact, retry_after
from airflow_provider_visio.api.retry import Again, History, decide
from airflow_provider_visio.api.visiono import VISIONO, photos_in
from airflow_provider_visio.api.vizdom import failure_of, read_export
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import RateLimitedError, VisioProviderError
from properties.cases import cases
from properties.checks import check_error, check_text
from properties.values import (
    KEY,
    NUMBERS,
    body,
    error_body,
    header_value,
    headers,
    item,
    json_object,
    json_value,
    leaf,
    page,
    status,
)

NOW = 1767225600.0
SITE = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", KEY)
CALLS = [
    call("GET", "/photo-requests/{request_id}", request_id="req_abc123"),
    call("POST", "/photo-requests", body={"instructions": "x"}),
    call("DELETE", "/photo-requests/{request_id}", request_id="req_abc123"),
]


def check_status(error: VisioProviderError, status: int) -> None:
    assert error.status == status


def check_envelope(found: Any) -> None:
    assert found.keys() == {"data", "meta", "links"}
    assert isinstance(found["meta"], dict)
    assert isinstance(found["links"], dict)


@cases(2500, request=st.sampled_from(CALLS), status=status, headers=headers, body=body)
def test_any_reply_is_data_or_an_error_of_ours(request, status, headers, body):
    try:
        check_envelope(read_reply(request, Reply(status, headers, body), SITE, now=NOW))
        assert 200 <= status < 300
    except VisioProviderError as error:
        check_error(error, request)
        check_status(error, status)


@cases(
    1000,
    status=st.sampled_from([400, 401, 403, 404, 409, 422, 429, 500, 503]),
    headers=headers,
    body=error_body,
)
def test_any_refusal_in_json_is_said_and_sent_again_only_for_a_while(status, headers, body):
    history, sent = History(), 0
    for request in CALLS:
        answer = Reply(status, headers, json.dumps(body).encode())
        again: Again | None = Again(0.0, 0.0, history)
        while again is not None:
            sent += 1
            assert sent < 500
            try:
                check_envelope(read_reply(request, answer, SITE, now=NOW))
                again = None
            except VisioProviderError as error:
                check_text(str(error))
                again = decide(error, request, again.history, max_attempts=5, rate_limit_wait=120.0)
                assert again is None or 0 <= again.wait + again.spread <= 120.0


@cases(1000, headers=headers, value=header_value)
def test_any_limit_is_a_time_or_nothing(headers, value):
    found = {**headers, "retry-after": value}
    pause = retry_after(found, now=NOW)
    assert pause is None or (pause >= 0 and math.isfinite(pause))
    budget = RateLimit(((60.0, 60), (3600.0, 1000)))
    for code in (200, 429):
        budget.learn(code, found, sent=NOW, now=NOW, pause=pause)
        turn = budget.next_turn(NOW)
        assert NOW <= turn <= NOW + 3601
        assert all(count >= 0 for count in budget.left(NOW))
        assert 0 <= budget.share_left(NOW) <= 1


@cases(500, headers=headers, body=body)
def test_a_refusal_for_the_limit_says_when_to_come_back(headers, body):
    with pytest.raises(RateLimitedError) as caught:
        read_reply(CALLS[0], Reply(429, headers, body), SITE, now=NOW)
    assert 0 <= caught.value.retry_after < math.inf


PHOTO_NAMES = [
    "id",
    "url",
    "download_url",
    "mime_type",
    "file_size_kb",
    "item_id",
    "gps_latitude",
    "gps_longitude",
    "metadata",
]
degrees = st.sampled_from([*NUMBERS, "1.5", "nan", None])
photo = json_object(PHOTO_NAMES) | st.fixed_dictionaries(
    {"id": leaf, "gps_latitude": degrees},
    optional={"gps_longitude": degrees, "file_size_kb": leaf, "item_id": leaf},
)


@cases(1000, photos=st.lists(photo | json_value, max_size=4) | json_value, more=item, links=page)
def test_photos_are_found_in_any_request(photos, more, links):
    for request, minted in (
        ({**more, "photos": photos}, None),
        (more, {"submissions": photos, "items": links}),
    ):
        for found in photos_in(request, minted):
            assert isinstance(found["id"], str)
            assert found["url"] is None or isinstance(found["url"], str)
            assert found["gps"] is None or all(map(math.isfinite, found["gps"].values()))


@cases(500, data=json_object(["id", "status", "error", "download_url", "state"]))
def test_any_export_is_read_and_its_failure_said(data):
    contract = VizdomContract.with_changes({"status_field": "state", "error_field": "reason"})
    export = read_export(data, contract)
    assert export.get("status") is data.get("state", data.get("status"))
    check_text(failure_of(export, SITE))
    check_text(redact(str(data), SITE))
