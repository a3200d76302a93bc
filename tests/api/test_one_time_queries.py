"""Learning what several ids are doing, in few calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.client import Client, TriggerClient
from airflow_provider_visio.api.one_time_queries import query_exports, read_submissions
from airflow_provider_visio.api.photo_request_poller import FEW, query_photo_requests
from airflow_provider_visio.api.vizdom import create_export
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import PermissionDeniedError, ServiceError
from airflow_provider_visio.waiting import WITHHELD

LIST, ONE = "GET /photo-requests", "GET /photo-requests/{id}"


@pytest.fixture(params=["sync", "async"])
def carry_out(request):
    def run(config, looking):
        states = {}
        plan = looking(states.__setitem__)
        if request.param == "sync":
            client = Client(config, lambda: config)
            try:
                client.query(plan)
            finally:
                client.close()
            return states

        async def go():
            async def again():
                return config

            client = TriggerClient(config, again)
            try:
                await client.query(plan)
            finally:
                await client.close()

        asyncio.run(go())
        return states

    return run


@pytest.fixture
def make(visiono):
    client = Client(visiono, lambda: visiono)
    yield lambda count: [
        client.send(api.create_photo_request(f"Photo {n}"))["data"]["id"] for n in range(count)
    ]
    client.close()


def test_a_few_are_asked_for_one_by_one(carry_out, sandbox, visiono, make):
    made = make(FEW)
    sandbox.act(made[1], "submit")
    sandbox.act(made[2], "delete")
    states = carry_out(visiono, lambda learn: query_photo_requests(made, learn))
    assert [states[i]["status"] for i in made] == ["pending", "submitted", "deleted"]
    assert (sandbox.count("visiono", LIST), sandbox.count("visiono", ONE)) == (0, FEW)


def test_many_are_read_from_the_list(carry_out, sandbox, visiono, make):
    sandbox.settings(page_size=100)
    made = make(30)
    sandbox.act(made[3], "cancel")
    states = carry_out(visiono, lambda learn: query_photo_requests(made, learn))
    assert len(states) == 30
    assert states[made[3]]["status"] == "cancelled"
    assert (sandbox.count("visiono", LIST), sandbox.count("visiono", ONE)) == (1, 0)


def test_what_the_list_lacks_is_asked_for(carry_out, sandbox, visiono, make):
    made = make(8)
    sandbox.act(made[0], "delete")
    states = carry_out(visiono, lambda learn: query_photo_requests(made, learn))
    assert states[made[0]] == {"status": "deleted"}
    assert sandbox.count("visiono", ONE) == 1


def test_a_key_that_may_not_list_asks_one_by_one(carry_out, sandbox, visiono, make):
    made = make(8)
    sandbox.fault("visiono", "status", path="^/photo-requests$", method="GET", status=403, times=None)
    states = carry_out(visiono, lambda learn: query_photo_requests(made, learn))
    assert [state["status"] for state in states.values()] == ["pending"] * 8


def test_trouble_with_one_does_not_hide_the_others(carry_out, sandbox, visiono, make):
    made = make(3)
    sandbox.fault("visiono", "status", path=made[1], status=403, times=None)
    states = carry_out(visiono, lambda learn: query_photo_requests(made, learn))
    assert [states[i]["status"] for i in made] == ["pending", WITHHELD, "pending"]


def test_trouble_with_the_only_one_is_an_error(carry_out, sandbox, visiono, make):
    (made,) = make(1)
    sandbox.fault("visiono", "status", path=made, status=403, times=None)
    with pytest.raises(PermissionDeniedError):
        carry_out(visiono, lambda learn: query_photo_requests([made], learn))


def test_a_service_that_is_down_is_an_error(carry_out, sandbox, visiono):
    sandbox.fault("visiono", "status", status=503, times=None)
    with pytest.raises(ServiceError):
        carry_out(visiono, lambda learn: query_photo_requests(["req_1", "req_2"], learn))


def test_each_id_is_asked_for_once(carry_out, sandbox, visiono, make):
    (made,) = make(1)
    assert list(carry_out(visiono, lambda learn: query_photo_requests([made, made, made], learn))) == [made]
    assert sandbox.count("visiono", ONE) == 1


def test_a_state_carries_no_person_and_no_photo(carry_out, sandbox, visiono, make):
    sandbox.settings(photos_in_request=True)
    (made,) = make(1)
    sandbox.act(made, "submit")
    assert set(carry_out(visiono, lambda learn: query_photo_requests([made], learn))[made]) == {
        "status",
        "created_at",
        "expires_at",
        "request_url",
    }


def test_exports_are_asked_for_one_by_one(carry_out, sandbox, vizdom):
    contract = VizdomContract()
    client = Client(vizdom, lambda: vizdom)
    good, bad = (
        client.send(create_export(board, "csv", contract))["data"]["id"]
        for board in ("dash_abc123", "dash_broken")
    )
    client.close()
    sandbox.advance(60)
    states = carry_out(vizdom, lambda learn: query_exports([good, bad, "exp_never"], contract, learn))
    assert [states[i]["status"] for i in (good, bad, "exp_never")] == ["completed", "failed", "deleted"]
    assert "did not answer" in str(states[bad]["error"])
    assert "download_url" not in states[good]


@pytest.mark.parametrize(
    ("first", "last", "whole"),
    [
        ({"data": [{"id": "pls_1"}, None]}, {"data": []}, False),
        ({"data": {"pls_1": {}}}, {"data": [{"id": "pls_1"}]}, False),
        ({"data": []}, {"data": [{"id": "pls_1"}]}, True),
    ],
)
def test_what_came_through_a_link_is_whole_only_if_all_of_it_was_read(first, last, whole):
    learnt: dict[str, Any] = {}
    looking = read_submissions("sl_1", "reference", learnt.__setitem__)
    next(looking)
    looking.send({"meta": {"next_cursor": "b"}, "links": {}, **first})
    with pytest.raises(StopIteration):
        looking.send({"meta": {"next_cursor": None}, "links": {}, **last})
    assert [one["id"] for one in learnt["sl_1"]["submissions"]] == ["pls_1"]
    assert learnt["sl_1"]["whole"] is whole
