"""The smallest example of each fault in faults.py. One that passes was mended: take it out there and here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk import Connection
from api.local_server import Answer

from airflow_provider_visio.api.call import Reply, call
from airflow_provider_visio.api.client import Client, _next_hop
from airflow_provider_visio.api.lookout import _iso
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.reply import read
from airflow_provider_visio.api.site import Site
from airflow_provider_visio.api.visiono import VISIONO, photos_in
from airflow_provider_visio.api.vizdom import ExportContract, get_export
from airflow_provider_visio.destination import folder_at
from airflow_provider_visio.exceptions import UnexpectedReplyError, VisioProviderError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.intent import Intent, Record
from airflow_provider_visio.transfer import RemoteFile, _name
from airflow_provider_visio.waiting import Verdict, epoch, error_of_photo_requests
from properties.values import KEY

pytestmark = pytest.mark.xfail(strict=True, reason="known fault, not mended yet")

GET = call("GET", "/photo-requests")
SITE = Site(VISIONO, "my_visiono", "https://api.visio.now/v1", KEY, max_attempts=1)
RECORD = {"intent": {"task": "a", "input": "b"}}


def refusal(status: int, body: bytes = b"", **headers: str) -> str:
    with pytest.raises(VisioProviderError) as caught:
        read(GET, Reply(status, {n.replace("_", "-"): v for n, v in headers.items()}, body), SITE, now=0.0)
    return str(caught.value)


def second_page(**found: object) -> str | None:
    pages = Pages(GET)
    pages.take({"data": [{"id": "req_1"}], "meta": {}, "links": {}, **found})
    return None if pages.next is None else pages.next.url("https://api.visio.now/v1")


@pytest.mark.parametrize(
    "value", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 -9999999999999999"]
)
def test_a_date_that_no_calendar_has_is_nonsense(value):
    refusal(429, retry_after=value)


def test_words_cut_in_the_middle_of_an_emoji_can_be_logged():
    refusal(500, b'{"message": "\\ud83d"}').encode()


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b'{"meta": {"request_id": "%s"}}' % KEY.encode(), {}), (b"", {"x_request_id": KEY})],
)
def test_an_id_of_a_call_has_no_key(body, headers):
    assert KEY not in refusal(500, body, **headers)


@pytest.mark.parametrize("link", ["http://[", "?self=1"])
def test_a_link_to_the_next_page_that_is_none_ends_the_list_or_is_refused(link):
    second_page(links={"next": link})


def test_a_cursor_that_no_url_can_hold_ends_the_list_or_is_refused():
    second_page(meta={"next_cursor": "\ud800"})


def test_a_degree_of_four_hundred_digits_is_no_place():
    assert photos_in({"photos": [{"id": "p", "gps_latitude": 10**400, "gps_longitude": 1}]})[0]["gps"] is None


def test_two_photos_whose_titles_end_alike_are_two_files():
    assert _name(RemoteFile("b", "a-a"), None) != _name(RemoteFile("a-b", "a"), None)


@pytest.mark.parametrize("other", ["a-", "_a", "a.", "a~"])
def test_two_requests_whose_ids_differ_in_a_sign_have_two_folders(other):
    assert str(folder_at("/data", other)) != str(folder_at("/data", "a"))


@pytest.mark.parametrize("asked", [{"metadata": {1: "a", "b": "c"}}])
def test_metadata_with_keys_of_two_kinds_has_a_fingerprint(asked):
    Intent.of({"ti": SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)}, asked)


@pytest.mark.parametrize("asked_at", [10**400, float("nan"), float("inf"), 1e300])
def test_a_record_of_no_time_is_none(asked_at):
    assert Record.from_json({**RECORD, "asked_at": asked_at}) is None


@pytest.mark.parametrize("path", ["/{export_id:d}", "/{export_id!x}", "/{export_id:{x}}"])
def test_a_path_with_a_format_is_refused(path):
    with pytest.raises(VisioProviderError):
        get_export("exp_1", ExportContract.with_changes({"export_path": path}))


@pytest.mark.parametrize(
    "event",
    [
        {"outcome": "failed", "ended": {"req_1": []}},
        {"outcome": "timeout", "waiting": ["req_1"], "unknown": {"req_1": None}},
    ],
)
def test_an_event_with_values_of_the_wrong_type_is_none_of_ours(event):
    with pytest.raises(UnexpectedReplyError):
        Verdict.from_event(event)


def test_a_status_word_has_no_key():
    verdict = Verdict("timeout", waiting=("req_1",), unknown={"req_1": KEY})
    assert KEY not in str(error_of_photo_requests(verdict, "my_visiono"))


def test_a_creation_time_in_the_year_ten_thousand_is_asked_for_or_left_out():
    _iso(epoch("9999-12-31T23:59:59-23:59"))


@pytest.mark.parametrize(
    "fields", [{"port": 65536}, {"port": -1}, {"host": "h:", "port": 80}, {"host": "h:0"}]
)
def test_a_port_that_is_none_is_refused(fields):
    connection = Connection(conn_id="c", conn_type="visiono", password=KEY, **{"host": "h", **fields})
    with pytest.raises(VisioProviderError):
        VisionoHook("c")._site_from(connection, {})


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_no_name_server_knows_was_not_reached(host):
    site = Site(VISIONO, "c", f"https://{host}/v1", KEY, max_attempts=1)
    with pytest.raises(VisioProviderError):
        Client(site, lambda: site).send(GET)


def test_a_timeout_of_centuries_is_refused_or_borne():
    site = Site(VISIONO, "c", "http://127.0.0.1:1", KEY, connect_timeout=1e10, max_attempts=1)
    with pytest.raises(VisioProviderError):
        Client(site, lambda: site).send(GET)


@pytest.mark.parametrize("location", ["http://[", "/caf\xe9"])
def test_a_redirect_to_nowhere_is_an_error_of_ours(serve, location):
    server = serve(Answer(301, b"", {"Location": location}))
    site = Site(VISIONO, "c", server.url, KEY, max_attempts=1)
    with pytest.raises(VisioProviderError):
        Client(site, lambda: site).send(GET)


def test_a_link_to_a_file_that_leads_nowhere_is_an_error_of_ours():
    with pytest.raises(VisioProviderError), Client(SITE, lambda: SITE).open("http://a..b/photo"):
        pass


def test_a_file_that_is_redirected_to_nowhere_is_an_error_of_ours():
    with pytest.raises(VisioProviderError):
        _next_hop("https://h/photo", "http://[")
