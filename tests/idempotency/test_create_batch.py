"""Many requests in one task: each is made once, whatever breaks, and one that is refused keeps no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio import clock as provider_clock
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    PermissionDeniedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoDeletePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

ONE, TEN = "POST /photo-requests", "POST /photo-requests/batch"


def people(number: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"instructions": f"Meter {n}", "metadata": {"n": n}} for n in range(start, start + number)]


def ask(requests: Any = None, **more: Any) -> VisionoCreatePhotoRequestBatchOperator:
    requests = people(12) if requests is None else requests
    return VisionoCreatePhotoRequestBatchOperator(**{"task_id": "ask", "requests": requests, **more})


def made(sandbox: Any) -> list[str]:
    """Return the instructions of all requests, in order."""
    requests = sandbox.control("GET", "/photo-requests")
    return sorted(one["instructions"] for one in requests if one["status"] != "deleted")


def words(requests: list[dict[str, Any]]) -> list[str]:
    return sorted(one["instructions"] for one in requests)


@pytest.fixture(params=[True, False], ids=["ten at a time", "one by one"])
def batch(request) -> bool:
    return request.param


@pytest.fixture(params=["with a store", "without"])
def first(request, run_task):
    return lambda operator: run_task(operator, store=request.param == "with a store" or None)


def dies(task: Any, monkeypatch: pytest.MonkeyPatch, calls: int, *, before: bool = False) -> None:
    """Run a task whose worker dies around so many calls, by an error that nothing of ours sees."""
    left = [calls]

    def dying(real: Any) -> Any:
        def call(self: Any, *args: Any, **more: Any) -> Any:
            left[0] -= 1
            if not left[0] and before:
                raise KeyboardInterrupt
            result = real(self, *args, **more)
            if not left[0]:
                raise KeyboardInterrupt
            return result

        return call

    with monkeypatch.context() as patch:
        for name in ("create_photo_request", "create_photo_requests"):
            patch.setattr(VisionoHook, name, dying(getattr(VisionoHook, name)))
        with pytest.raises(KeyboardInterrupt):
            task.run()


def test_all_are_created_and_returned_in_order(sandbox, run_task, batch):
    result = run_task(ask(people(23), batch=batch)).run()
    listed = {one["id"]: one for one in sandbox.control("GET", "/photo-requests")}
    assert [listed[i]["metadata"]["n"] for i in result["ids"]] == list(range(23))
    assert result["failed"] == []
    assert result["requests"] == [
        {"index": n, "id": i, "request_url": listed[i]["request_url"]} for n, i in enumerate(result["ids"])
    ]
    assert sandbox.count("visiono", TEN) == (3 if batch else 0)
    assert sandbox.count("visiono", ONE) == (0 if batch else 23)


@pytest.mark.parametrize(("dialect", "calls"), [("reference", 0), ("plugin", 2)])
def test_the_dialect_says_how_they_are_sent(sandbox, run_task, connection, dialect, calls):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect=dialect)
    assert len(run_task(ask()).run()["ids"]) == 12
    assert sandbox.count("visiono", TEN) == calls


def test_the_dialect_is_no_part_of_what_is_asked_for(sandbox, first, run_task, connection, monkeypatch):
    requests = [{**one, "items": ["The meter"]} for one in people(12)]
    task = first(ask(requests))
    dies(task, monkeypatch, 5)
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect="plugin")
    assert len(run_task(ask(requests), task).run()["ids"]) == 12
    assert made(sandbox) == words(requests)
    asked_for = {
        item["instructions"] for one in sandbox.control("GET", "/photo-requests") for item in one["items"]
    }
    assert asked_for == {"The meter"}


@pytest.mark.parametrize("status", [404, 405])
def test_a_service_without_the_call_gets_them_one_by_one(sandbox, run_task, status):
    sandbox.fault("visiono", "status", status=status, path="/batch$")
    assert len(run_task(ask(people(25), batch=True)).run()["ids"]) == 25
    assert sandbox.count("visiono", TEN) == 1
    assert made(sandbox) == words(people(25))


def test_what_it_does_not_have_is_remembered_over_a_pause(sandbox, run_task):
    sandbox.fault("visiono", "status", status=404, path="/batch$")
    sandbox.fault("visiono", "rate_limit", retry_after=1800, times=1, skip=4)
    task = run_task(ask(batch=True))
    task.run()
    assert len(task.deferrals) == 1
    assert sandbox.count("visiono", TEN) == 1
    assert made(sandbox) == words(people(12))


def test_what_is_refused_keeps_no_other_from_being_made(sandbox, run_task, batch):
    requests = people(12)
    requests[3]["instructions"] = "x" * 6000
    requests[7]["expires_in_hours"] = 99999
    requests[8]["instructions"] = ""  # which needs no call to be known
    operator = ask(people(1), batch=batch)
    operator.requests = requests
    task = run_task(operator)
    with pytest.raises(InvalidRequestError) as caught:
        task.run()
    assert list(caught.value.fields) == ["requests.3", "requests.7", "requests.8"]
    assert "3 of 12 photo requests were refused: [3] instructions: " in str(caught.value)
    assert "[connection visiono_default]" in str(caught.value)
    good = [one for n, one in enumerate(requests) if n not in (3, 7, 8)]
    assert made(sandbox) == words(good)
    # A retry tries those alone, and a corrected list makes nobody a second one.
    again = ask(people(1), batch=batch)
    again.requests = requests
    task = run_task(again, task)
    with pytest.raises(InvalidRequestError):
        task.run()
    assert made(sandbox) == words(good)


def test_one_at_which_the_service_breaks_keeps_no_other_from_being_made(sandbox, run_task):
    sandbox.fault("visiono", "status", status=500, method="POST", path="^/photo-requests$", skip=2, times=1)
    sandbox.fault("visiono", "status", status=500, method="POST", path="^/photo-requests$", skip=4, times=1)
    with pytest.raises(InvalidRequestError, match=r"1 of 5 .*\[2\] the service failed at it \(500\), twice"):
        run_task(ask(people(5))).run()
    assert made(sandbox) == words([one for n, one in enumerate(people(5)) if n != 2])


def test_what_the_service_broke_at_is_made_in_the_end(sandbox, run_task):
    sandbox.fault("visiono", "status", status=500, path="/batch$", times=1)
    sandbox.fault("visiono", "status", status=500, method="POST", path="^/photo-requests$", skip=3, times=1)
    assert run_task(ask(people(12), batch=True)).run()["failed"] == []
    assert made(sandbox) == words(people(12))


def breaking(sandbox, at: dict[int, int]) -> None:
    """Have the service break at these POSTs, counted from 0, so many times in a row."""
    for skip, times in at.items():
        sandbox.fault(
            "visiono", "status", status=500, method="POST", path="^/photo-requests$", skip=skip, times=times
        )


def test_several_at_which_the_service_breaks_keep_no_other_from_being_made(sandbox, run_task):
    # The second and the fifth, and both again when they come last.
    breaking(sandbox, {1: 1, 3: 1, 4: 2})
    result = run_task(ask(people(6), on_item_error="report")).run()
    assert [one["index"] for one in result["failed"]] == [1, 4]
    assert len(result["ids"]) == 4


def test_a_service_that_is_down_is_not_asked_for_each_of_them(sandbox, run_task):
    sandbox.fault("visiono", "status", status=503, method="POST", times=100)
    with pytest.raises(ServiceError, match="0 of 40 photo requests are created"):
        run_task(ask(people(40))).run()
    assert sandbox.count("visiono", ONE) == 2


def test_refused_ones_can_be_reported_instead(sandbox, run_task, batch):
    sandbox.settings(plan="free")
    requests = people(12)
    requests[5]["recipient_email"] = "driver@example.com"
    result = run_task(ask(requests, batch=batch, on_item_error="report")).run()
    assert [one["index"] for one in result["requests"]] == [n for n in range(12) if n != 5]
    assert len(result["ids"]) == 11
    (failed,) = result["failed"]
    assert failed["index"] == 5
    assert "upgrade" in failed["reason"]
    assert "driver@example.com" not in json.dumps(result)


def test_a_list_that_is_corrected_after_a_refusal_makes_the_rest(sandbox, run_task, batch):
    requests = [*people(3), {"instructions": "y" * 6000}]
    task = run_task(ask(requests, batch=batch))
    with pytest.raises(InvalidRequestError):
        task.run()
    right = [*people(3), {"instructions": "y"}]
    assert len(run_task(ask(right, batch=batch), task, cleared=True).run()["ids"]) == 4
    assert made(sandbox) == words(right)


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("before", [True, False], ids=["before the call", "after it"])
def test_a_retry_makes_what_a_dead_worker_has_not(
    sandbox, first, run_task, monkeypatch, batch, calls, before
):
    task = first(ask(batch=batch))
    dies(task, monkeypatch, calls, before=before)
    assert len(made(sandbox)) < 12 or (batch and calls == 2 and not before)
    result = run_task(ask(batch=batch), task).run()
    assert len(set(result["ids"])) == 12
    assert all(one["request_url"] for one in result["requests"])
    assert made(sandbox) == words(people(12))


@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
def test_a_reply_that_was_lost_costs_nobody_a_second_request(sandbox, first, batch, kind):
    sandbox.fault("visiono", kind, method="POST", times=1, skip=1)
    assert len(first(ask(batch=batch)).run()["ids"]) == 12
    assert made(sandbox) == words(people(12))


def test_a_call_that_never_arrived_is_made_by_the_next_try(sandbox, first, run_task, batch):
    sandbox.fault("visiono", "drop_before", method="POST", times=1, skip=1)
    task = first(ask(batch=batch))
    with pytest.raises(ConnectionFailedError, match=r"of 12 photo requests are created and kept"):
        task.run()
    run_task(ask(batch=batch), task).run()
    assert made(sandbox) == words(people(12))


def test_could_not_look_is_never_not_there(sandbox, first, run_task, batch):
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    sandbox.fault("visiono", "status", status=500, method="GET", path="^/photo-requests")
    task = first(ask(batch=batch))
    for _ in range(2):
        with pytest.raises(VisioProviderError):
            task.run()
        task = run_task(ask(batch=batch), task)
    sandbox.clear_faults()
    task.run()
    assert made(sandbox) == words(people(12))


def dies_on_the_way(task: Any, monkeypatch: Any, later: Any, seconds: float) -> None:
    """Run a task whose worker dies at its call, which the service carries out after ``seconds``."""
    real = VisionoHook.create_photo_requests

    def die(self, *args):
        later(seconds, lambda: real(self, *args))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_photo_requests", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()


@pytest.mark.parametrize("after", [30, 100])
def test_a_call_that_was_on_its_way_is_waited_for(sandbox, first, run_task, monkeypatch, later, after):
    task = first(ask(batch=True))
    dies_on_the_way(task, monkeypatch, later, after)
    run_task(ask(batch=True), task).run()
    assert made(sandbox) == words(people(12))


def test_a_reply_that_tells_of_some_only_is_looked_after(sandbox, run_task, monkeypatch):
    real = VisionoHook.create_photo_requests

    def half(self, requests):
        return real(self, requests[: len(requests) // 2])

    monkeypatch.setattr(VisionoHook, "create_photo_requests", half)
    assert len(run_task(ask(batch=True)).run()["ids"]) == 12
    assert made(sandbox) == words(people(12))


def test_requests_that_are_alike_are_made_as_often_as_they_are_listed(
    sandbox, first, run_task, monkeypatch, batch
):
    alike = [{"instructions": "The same"}] * 12
    task = first(ask(alike, batch=batch))
    dies(task, monkeypatch, 1)
    assert len(set(run_task(ask(alike, batch=batch), task).run()["ids"])) == 12
    assert len(made(sandbox)) == 12


def test_a_list_in_another_order_and_a_longer_one_make_what_is_new(sandbox, first, run_task, batch):
    task = first(ask(batch=batch))
    before = task.run()["ids"]
    task = run_task(ask(people(14)[::-1], batch=batch), task)
    assert task.run()["ids"][2:] == before[::-1]
    assert made(sandbox) == words(people(14))


def test_a_list_that_may_be_the_old_one_put_differently_is_refused(sandbox, first, run_task, batch):
    task = first(ask(batch=batch))
    task.run()
    other = [{**one, "instructions": f"{one['instructions']}, at noon"} for one in people(12)]
    for cleared in (False, True):
        task = run_task(ask(other, batch=batch), task, cleared=cleared)
        with pytest.raises(
            VisioProviderError, match=r"12 photo request.* not in it, .*12 are new.*nobody is asked"
        ):
            task.run()
    assert made(sandbox) == words(people(12))
    run_task(ask(other, batch=batch, on_existing="replace"), task, cleared=True).run()
    assert made(sandbox) == words(other)


def test_a_shorter_list_leaves_the_others_alone(sandbox, run_task, caplog):
    task = run_task(ask())
    task.run()
    assert len(run_task(ask(people(10)), task).run()["ids"]) == 10
    assert "2 photo request(s) that an earlier try created are not in the list" in caplog.text
    assert made(sandbox) == words(people(12))


@needs_store
def test_a_success_that_airflow_never_heard_of_costs_no_call(sandbox, run_task, batch):
    task = run_task(ask(batch=batch))
    result = task.run()
    before = sandbox.counters()["visiono"]
    assert run_task(ask(batch=batch), task).run() == result
    assert sandbox.counters()["visiono"] == before


@needs_store
def test_a_cleared_task_keeps_what_is_open_and_asks_the_others_anew(sandbox, run_task, batch):
    task = run_task(ask(people(4), batch=batch))
    ids = task.run()["ids"]
    for request_id, end in zip(ids, ("submit", "expire", "delete"), strict=False):
        sandbox.act(request_id, end)
    task = run_task(ask(people(4), batch=batch), task, cleared=True)
    again = task.run()["ids"]
    assert again[3] == ids[3]
    assert not set(again[:3]) & set(ids)
    assert run_task(ask(people(4), batch=batch), task).run()["ids"] == again


@needs_store
def test_a_call_that_never_arrived_after_a_clear_is_not_answered_by_what_was_before(sandbox, run_task):
    task = run_task(ask(people(2)))
    ids = task.run()["ids"]
    sandbox.act(ids[0], "expire")
    sandbox.fault("visiono", "drop_before", method="POST", times=1)
    task = run_task(ask(people(2)), task, cleared=True)
    with pytest.raises(ConnectionFailedError):
        task.run()
    again = run_task(ask(people(2)), task).run()["ids"]
    assert again[1] == ids[1]
    assert again[0] not in ids


@needs_store
def test_a_cleared_task_can_replace_what_is_open_or_fail(sandbox, run_task, batch):
    task = run_task(ask(people(3), batch=batch))
    ids = task.run()["ids"]
    with pytest.raises(
        VisioProviderError, match=rf"3 photo request.*still open, such as {ids[0]}.*is 'fail'"
    ):
        run_task(ask(people(3), batch=batch, on_existing="fail"), task, cleared=True).run()
    again = run_task(ask(people(3), batch=batch, on_existing="replace"), task, cleared=True).run()["ids"]
    assert not set(again) & set(ids)
    assert made(sandbox) == words(people(3))


def test_more_than_a_minute_allows_gives_the_worker_back(sandbox, first, clock, monkeypatch):
    sandbox.settings(rate_headers=False)
    for _ in range(30):
        VisionoHook().get_status()
    clock.sleep(40)  # so that the next turn is 20 s away when the minute's calls are used up
    held: list[float] = []
    monkeypatch.setattr(provider_clock, "sleep", lambda seconds: held.append(seconds) or clock.sleep(seconds))
    task = first(ask(people(150)))
    started = clock.now()
    assert len(task.run()["ids"]) == 150
    assert 120 <= clock.now() - started <= 240
    assert len(task.deferrals) >= 3
    assert max(held, default=0) <= 5
    assert made(sandbox) == words(people(150))
    assert sandbox.counters()["refused_429"]["visiono"] == 0


def test_what_it_defers_with_has_no_address(sandbox, run_task):
    sandbox.fault("visiono", "rate_limit", retry_after=1800, times=1, skip=1)
    task = run_task(ask([{"instructions": "x", "recipient_email": f"d{n}@example.com"} for n in range(3)]))
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    stored = json.dumps([caught.value.trigger.serialize(), task.store])
    assert "@example.com" not in stored
    assert len(task.run()["ids"]) == 3


def test_rendered_fields_keep_no_address(sandbox):
    operator = ask([{"instructions": "{{ 'Hello' }}", "recipient_email": "{{ 'driver' }}@example.com"}])
    operator.render_template_fields({})
    operator.render_template_fields({})  # as of a task that is tried again in one process
    assert operator.requests.serialize() == [{"instructions": "Hello", "recipient_email": "***"}]
    assert "driver" not in str(operator.requests)
    operator.requests = "[{'recipient_email': 'driver@example.com'}]"
    assert "driver" not in str(operator.requests.serialize())


def test_rendered_requests_are_what_is_asked_for(sandbox, run_task):
    operator = ask([{"instructions": "{{ 'Hello' }}", "recipient_email": "{{ 'driver' }}@example.com"}])
    operator.render_template_fields({})
    run_task(operator).run()
    (request,) = sandbox.control("GET", "/photo-requests")
    assert (request["instructions"], request["recipient_email"]) == ("Hello", "driver@example.com")


@needs_store
def test_a_thousand_stay_small_in_the_store_and_the_output(sandbox, run_task, connection):
    sandbox.settings(visiono_per_minute=5000, visiono_per_hour=9000)
    limits = {"calls_per_minute": 5000, "calls_per_hour": 9000}
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, **limits)
    task = run_task(ask(people(1000), batch=True))
    result = task.run()
    assert len(set(result["ids"])) == 1000
    assert sandbox.count("visiono", TEN) == 100
    assert len(json.dumps(result)) < 150_000
    assert max(len(json.dumps(value)) for value in task.store.values()) < 16 * 1024


def test_what_the_key_may_not_do_ends_the_task_at_once(sandbox, run_task, batch):
    sandbox.fault("visiono", "status", status=403, method="POST", skip=1)
    with pytest.raises(PermissionDeniedError, match=r"of 12 photo requests are created"):
        run_task(ask(batch=batch)).run()
    assert sandbox.count("visiono", TEN if batch else ONE) == 2


def posts(sandbox: Any) -> int:
    return sum(sandbox.count("visiono", route) for route in (ONE, TEN))


def refuse(sandbox: Any, status: int, message: str, details: Any = None, **how: Any) -> None:
    """Have the service refuse to make requests, in the words of its reference."""
    error = {"code": "refused", "message": message, **({"details": details} if details else {})}
    sandbox.fault("visiono", "status", status=status, body={"error": error}, method="POST", **how)


@pytest.fixture(params=["fail", "report"])
def on_item_error(request) -> str:
    return request.param


@pytest.mark.parametrize("status", [402, 403, 422, 429])
def test_a_used_up_quota_ends_the_task_at_once_and_costs_nothing_that_is_made(
    sandbox, run_task, batch, on_item_error, status
):
    refuse(sandbox, status, "Monthly photo quota exceeded.", skip=1)
    task = run_task(ask(people(25), batch=batch, on_item_error=on_item_error))
    with pytest.raises(PermissionDeniedError) as caught:
        task.run()
    assert caught.value.status == status
    for part in (
        "Monthly photo quota exceeded.",
        "a retry will not help: get_stats() shows",
        f"{10 if batch else 1} of 25 photo requests are created and kept",
    ):
        assert part in str(caught.value)
    assert posts(sandbox) == len(sandbox.calls()) == 2
    assert task.deferrals == []
    sandbox.clear_faults()
    task = run_task(ask(people(25), batch=batch, on_item_error=on_item_error), task)
    assert len(task.run()["ids"]) == 25
    assert made(sandbox) == words(people(25))


@pytest.mark.parametrize(
    ("message", "details"),
    [
        ("The given data was invalid.", {"quota": ["The monthly quota is used up."]}),
        ("The given data was invalid.", {"instructions": ["The photo quota of your plan is exceeded."]}),
        ("Your photo quota is used up.", {"photo_requests": ["is refused"]}),
    ],
)
def test_a_quota_is_known_by_its_name_where_a_field_is_named(sandbox, run_task, batch, message, details):
    refuse(sandbox, 422, message, details)
    with pytest.raises(PermissionDeniedError, match="a retry will not help"):
        run_task(ask(batch=batch)).run()
    assert posts(sandbox) == 1


def test_what_exceeds_the_limit_of_a_field_is_no_quota(sandbox, run_task):
    refuse(sandbox, 422, "A limit is exceeded.", {"instructions": ["5000 exceeded"]}, times=1, skip=1)
    result = run_task(ask(on_item_error="report")).run()
    assert result["failed"] == [{"index": 1, "reason": "instructions: 5000 exceeded"}]
    assert made(sandbox) == words([one for n, one in enumerate(people(12)) if n != 1])


def test_too_many_calls_are_no_quota(sandbox, run_task, batch):
    refuse(sandbox, 429, "Rate limit exceeded.", times=1, skip=1)
    assert len(run_task(ask(batch=batch)).run()["ids"]) == 12


def test_a_key_without_the_scope_ends_the_task_at_once(sandbox, run_task, batch, on_item_error):
    sandbox.settings(visiono_scopes=["photo_requests:read"])
    with pytest.raises(PermissionDeniedError) as caught:
        run_task(ask(batch=batch, on_item_error=on_item_error)).run()
    assert "The call needs the scope photo_requests:write: see API Keys" in str(caught.value)
    assert "0 of 12 photo requests are created" in str(caught.value)
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize("status", [405, 415])
def test_a_call_that_is_refused_whatever_it_asks_for_ends_the_task_at_once(
    sandbox, run_task, batch, on_item_error, status
):
    refuse(sandbox, status, "No.", skip=1, path="/photo-requests$")
    refuse(sandbox, status, "No.", skip=1, path="/batch$")
    with pytest.raises(InvalidRequestError, match=r"of 25 photo requests are created") as caught:
        run_task(ask(people(25), batch=batch, on_item_error=on_item_error)).run()
    assert ("Host is the API's base URL" in str(caught.value)) is (status == 405)
    # Where the call for several is not there, one that makes one by itself may be.
    assert posts(sandbox) == (2 if not batch or status != 405 else 4)


def test_a_service_that_takes_each_but_not_ten_together_is_asked_for_ten_once(sandbox, run_task):
    refuse(sandbox, 422, "The given data was invalid.", {"requests": ["is required"]}, path="/batch$")
    assert len(run_task(ask(people(40), batch=True)).run()["ids"]) == 40
    assert (sandbox.count("visiono", TEN), sandbox.count("visiono", ONE)) == (1, 40)


def mailed(number: int) -> list[dict[str, Any]]:
    """Return requests of which every third has no address."""
    mail = {"send_email": True}
    return [
        one | (mail | {"recipient_email": f"d{n}@example.com"} if n % 3 else {})
        for n, one in enumerate(people(number))
    ]


NO_MAIL = (
    "This plan does not send e-mail: leave out recipient_email and send_email, and share the request_url"
)


def test_a_plan_without_e_mail_is_named_once_and_those_without_an_address_are_made(
    sandbox, run_task, capfd, caplog, batch, on_item_error
):
    sandbox.settings(plan="free")
    task = run_task(ask(mailed(40), batch=batch, on_item_error=on_item_error))
    if on_item_error == "fail":
        with pytest.raises(InvalidRequestError) as caught:
            task.run()
        told = str(caught.value)
        assert list(caught.value.fields) == [f"requests.{n}" for n in range(40) if n % 3]
    else:
        result = task.run()
        told = capfd.readouterr().out
        assert [one["index"] for one in result["failed"]] == [n for n in range(40) if n % 3]
        assert {one["reason"] for one in result["failed"]} == {
            "; ".join(
                f"{name}: E-mail sending is not available on the free plan. Please upgrade your plan."
                for name in ("recipient_email", "send_email")
            )
        }
    assert "26 of 40 photo requests were refused: [1] recipient_email: E-mail sending is not" in told
    assert told.count(NO_MAIL) == 1
    assert caplog.text.count(NO_MAIL) <= 1, "no refused call repeats it"
    assert "@example.com" not in told
    assert made(sandbox) == words([one for n, one in enumerate(people(40)) if n % 3 == 0])


def test_an_address_that_one_request_may_not_have_is_not_kept_from_the_others(sandbox, run_task):
    why = "The recipient email field is prohibited when send email is false."
    refuse(sandbox, 422, why, {"recipient_email": [why]}, times=1, skip=1)
    result = run_task(ask(mailed(6), on_item_error="report")).run()
    assert result["failed"] == [{"index": 1, "reason": f"recipient_email: {why}"}]
    assert len(made(sandbox)) == 5


def test_a_service_that_tells_no_metadata_cannot_be_asked_twice(sandbox, run_task, monkeypatch):
    task = run_task(ask(people(2)))
    dies(task, monkeypatch, 1)
    listed = VisionoHook.list_photo_requests
    got = VisionoHook.get_photo_request
    without = lambda one: {k: v for k, v in one.items() if k != "metadata"}  # noqa: E731
    monkeypatch.setattr(
        VisionoHook, "list_photo_requests", lambda self, **how: map(without, listed(self, **how))
    )
    monkeypatch.setattr(VisionoHook, "get_photo_request", lambda self, i: without(got(self, i)))
    with pytest.raises(UnexpectedReplyError, match="does not return the metadata"):
        run_task(ask(people(2)), task).run()
    assert len(made(sandbox)) == 1


def test_later_tasks_take_the_output_whole(sandbox, run_task):
    result = run_task(ask(people(3))).run()
    for request_id in result["ids"]:
        sandbox.act(request_id, "submit")
    wait = VisionoPhotoRequestSensor(task_id="w", request_id=result)
    assert run_task(wait).run()["arrived"] == result["ids"]
    delete = VisionoDeletePhotoRequestOperator(task_id="d", request_id=result)
    assert len(run_task(delete).run()) == 3


def test_the_user_s_metadata_is_kept_and_ours_is_not_for_the_user(sandbox, run_task):
    requests = [*people(1), {"instructions": "x", "metadata": {"airflow_input": "mine"}}]
    result = run_task(ask(requests, on_item_error="report")).run()
    assert "airflow_input" in result["failed"][0]["reason"]
    (request,) = sandbox.control("GET", "/photo-requests")
    assert request["metadata"]["n"] == 0


@pytest.mark.parametrize(
    "requests",
    [
        [],
        None,
        ["Hello"],
        [{}],
        [{"instructions": ""}],
        [{"instructions": "x", "email": "a@example.com"}],
        [{"instructions": "x", "recipient_email": "nobody"}],
        [{"instructions": "{{ params.x }}", "items": "front"}],
    ],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(requests):
    with pytest.raises(InvalidRequestError):
        VisionoCreatePhotoRequestBatchOperator(task_id="b", requests=requests)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"instructions": ""}, "requests.2.instructions"),
        ({"instructions": "x", "items": "front"}, "requests.2.items"),
        ({"instructions": "x", "colour": "red"}, "requests.2"),
        ("x", "requests.2"),
    ],
)
def test_what_is_wrong_is_named_by_its_place_as_the_hook_does(sandbox, bad, field):
    listed = [*people(2), bad]
    for refuses in (ask, VisionoHook().create_photo_requests):
        with pytest.raises(InvalidRequestError) as caught:
            refuses(listed)
        assert list(caught.value.fields) == [field]
        assert str(caught.value).startswith(field)


@pytest.mark.parametrize("more", [{"on_item_error": "skip"}, {"on_existing": "keep"}])
def test_what_is_no_choice_fails_when_the_dag_is_parsed(more):
    with pytest.raises(InvalidRequestError):
        ask(**more)


def rendered_to(value: Any, **more: Any) -> VisionoCreatePhotoRequestBatchOperator:
    operator = ask("{{ params.requests }}", **more)
    operator.requests = value
    return operator


@pytest.mark.parametrize("rendered", ["[{'instructions': 'x'}]", {"instructions": "x"}, None, 0, ["x"]])
def test_what_is_rendered_to_something_else_is_refused_in_words(sandbox, run_task, rendered):
    with pytest.raises(InvalidRequestError, match="requests"):
        run_task(rendered_to(rendered)).run()


@pytest.mark.parametrize("empty", [[], ()])
def test_a_list_that_turns_out_to_be_empty_skips_the_task(sandbox, first, run_task, empty):
    task = first(rendered_to(empty))
    with pytest.raises(AirflowSkipException, match="nobody to ask"):
        task.run()
    assert sandbox.calls() == []
    for cleared in (False, True):
        with pytest.raises(AirflowSkipException, match="nobody to ask"):
            run_task(rendered_to(empty), task, cleared=cleared).run()
    assert len(run_task(rendered_to(people(2)), task, cleared=True).run()["ids"]) == 2


def test_an_empty_list_is_no_skip_once_somebody_was_asked(sandbox, first, run_task, monkeypatch):
    task = first(rendered_to(people(2), batch=True))
    dies(task, monkeypatch, 1)
    again = run_task(rendered_to([]), task)
    with pytest.raises(InvalidRequestError, match=r"requests: it is empty, but 2 photo request\(s\)"):
        again.run()
    assert made(sandbox) == words(people(2))


def test_an_empty_list_of_a_cleared_task_skips_it_once_what_was_made_is_replaced(sandbox, run_task):
    task = run_task(rendered_to(people(2)))
    task.run()
    again = run_task(rendered_to([]), task, cleared=True)
    with pytest.raises(InvalidRequestError, match="on_existing='replace' to delete them"):
        again.run()
    with pytest.raises(AirflowSkipException):
        run_task(rendered_to([], on_existing="replace"), again, cleared=True).run()
    assert made(sandbox) == []


@pytest.mark.parametrize("how", [{}, {"mode": "poke"}, {"mode": "reschedule"}])
@pytest.mark.parametrize("least", [None, 0.5, 1, 2])
@pytest.mark.parametrize("part", [lambda output: output, lambda output: [output]])
def test_a_wait_that_proceeds_takes_a_batch_that_made_nothing(sandbox, run_task, how, part, least):
    refused = [{"instructions": "y" * 6000}]
    result = run_task(ask("{{ x }}", on_item_error="report")).operator
    result.requests = refused
    output = run_task(result).run()
    assert (output["ids"], len(output["failed"])) == ([], 1)
    wait = {"task_id": "wait", "request_id": "{{ x }}", "min_submitted": least, **how}
    proceeds = VisionoPhotoRequestSensor(**wait, on_deadline="proceed")
    proceeds.request_id = part(output)
    arrived = run_task(proceeds).run()
    assert arrived == {"arrived": [], "ended": {}, "waiting": []}
    fails = VisionoPhotoRequestSensor(**wait)
    fails.request_id = part(output)
    with pytest.raises(InvalidRequestError, match="request_id"):
        run_task(fails).run()


@pytest.mark.parametrize("part", [lambda output: output, lambda output: [output, output]])
def test_what_is_taken_from_a_batch_that_made_nothing_is_refused_in_words(sandbox, run_task, tmp_path, part):
    output = run_task(ask([{"instructions": "y" * 6000}], on_item_error="report")).run()
    download = VisionoDownloadPhotosOperator(task_id="d", request_id="{{ x }}", destination=str(tmp_path))
    download.request_id = part(output)
    with pytest.raises(InvalidRequestError, match=r"created no request.* in `failed`"):
        run_task(download).run()


@needs_store
def test_a_try_without_a_record_takes_nobody_else_s_requests(sandbox, run_task, batch):
    """Another Airflow with the same DAG and run uses the workspace, and our first try failed before it asked."""
    theirs = run_task(ask(people(2), batch=batch)).run()["ids"]
    ours = run_task(ask(people(2), batch=batch), run_task(ask(people(2), batch=batch))).run()["ids"]
    assert not set(ours) & set(theirs)
    assert sandbox.count("visiono", "GET /photo-requests") == 0
