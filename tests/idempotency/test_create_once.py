"""One request per intent: whatever happens between two tries, a person is asked once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    ExportFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PhotoRequestFailedError,
    ServiceError,
    TransferError,
    UnexpectedReplyError,
    VisioProviderError,
    WaitTimeoutError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDeletePhotoRequestOperator,
)
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator


def ask(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        **{"task_id": "photos", "instructions": "Photograph the dent", "wait_for_photos": True, **more}
    )


def defer(task: Any) -> str:
    """Run a task until it waits, and return the id that it waits for."""
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    (request_id,) = caught.value.trigger.ids
    return request_id


def carried_out_late(later: Any, seconds: float, error: BaseException | None = None) -> Any:
    """Return a call that gets no reply, or ends with an error, and that the service carries out after ``seconds``."""
    real = VisionoHook.create_photo_request

    def late(self, *args, **kwargs):
        later(seconds, lambda: real(self, *args, **kwargs))
        raise error or ConnectionFailedError("Visiono gave no reply.", ambiguous=True)

    return late


def dies(task: Any, monkeypatch: pytest.MonkeyPatch, create: Any) -> None:
    """Run a task whose worker dies in the call, by an error that nothing of ours sees, as with kill -9."""
    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_photo_request", create)
        with pytest.raises(KeyboardInterrupt):
            task.operator.execute(task.context)


def made(sandbox: Any) -> list[str]:
    return [request["id"] for request in sandbox.control("GET", "/photo-requests")]


@pytest.fixture(params=["with a store", "without"])
def first(request, run_task):
    """Return a function that makes the first try of a task, with Airflow's state store and without."""
    return lambda operator: run_task(operator, store=request.param == "with a store" or None)


def test_a_try_that_died_while_it_waited_is_taken_up_again(sandbox, first, run_task):
    task = first(ask())
    request_id = defer(task)
    assert defer(run_task(ask(), task)) == request_id
    assert made(sandbox) == [request_id]


def test_the_dialect_is_no_part_of_what_is_asked_for(sandbox, first, run_task, connection, caplog):
    task = first(ask(items=["Front"]))
    request_id = defer(task)
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect="plugin")
    assert defer(run_task(ask(items=["Front"]), task)) == request_id
    assert "something else" not in caplog.text
    assert defer(run_task(ask(items=["Back"]), task)) == request_id
    assert "asks for something else" in caplog.text


def test_a_try_that_died_before_it_knew_the_id_is_found_by_its_tag(sandbox, first, run_task, monkeypatch):
    task = first(ask())

    def die(self, *args, **kwargs):
        real(self, *args, **kwargs)
        raise KeyboardInterrupt

    real = VisionoHook.create_photo_request
    dies(task, monkeypatch, die)
    (request_id,) = made(sandbox)
    assert defer(run_task(ask(), task)) == request_id
    assert made(sandbox) == [request_id]


@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
def test_a_reply_that_was_lost_after_the_work_costs_no_second_request(sandbox, first, kind):
    sandbox.fault("visiono", kind, method="POST", times=1)
    request_id = defer(first(ask()))
    assert made(sandbox) == [request_id]


def test_a_call_that_never_arrived_is_made_by_the_next_try(sandbox, first, run_task):
    sandbox.fault("visiono", "drop_before", method="POST", times=1)
    task = first(ask())
    with pytest.raises(ConnectionFailedError):
        task.operator.execute(task.context)
    assert made(sandbox) == []
    defer(run_task(ask(), task))
    assert len(made(sandbox)) == 1


@pytest.mark.parametrize(
    ("kind", "more"),
    [("status", {"status": 500}), ("html", {}), ("drop_before", {})],
    ids=["500", "html", "drop"],
)
def test_could_not_look_is_never_not_there(sandbox, first, run_task, kind, more):
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    sandbox.fault("visiono", kind, method="GET", path="^/photo-requests", **more)
    task = first(ask())
    for _ in range(3):
        with pytest.raises((ConnectionFailedError, ServiceError, UnexpectedReplyError)):
            task.operator.execute(task.context)
        task = run_task(ask(), task)
    assert len(made(sandbox)) == 1
    sandbox.clear_faults()
    assert [defer(task)] == made(sandbox)


def test_a_refusal_is_no_attempt(sandbox, first, run_task):
    sandbox.settings(plan="free")
    task = first(ask(recipient_email="a@example.com"))
    with pytest.raises(InvalidRequestError):
        task.operator.execute(task.context)
    sandbox.settings(plan="paid")
    defer(run_task(ask(recipient_email="a@example.com"), task))
    assert len(made(sandbox)) == 1


def test_others_requests_are_not_taken_for_ours(sandbox, first, run_task):
    VisionoHook().create_photo_request("Photograph the dent", metadata={"airflow_task": "somebody"})
    VisionoHook().create_photo_request("Photograph the dent")
    task = first(ask())
    ours = defer(task)
    other = run_task(ask(), task)
    other.map_index = 1
    if other.store is not None:
        other.store.clear()
    assert defer(other) != ours
    assert len(made(sandbox)) == 4


@pytest.mark.parametrize("cleared", [True, False], ids=["clear", "retry"])
def test_photos_that_came_before_a_failed_download_are_not_asked_for_again(
    sandbox, first, run_task, tmp_path, cleared
):
    blocked = tmp_path / "photos"
    sandbox.person("submit", open_after=1, photo_every=1)
    task = first(ask(destination=str(blocked)))
    sandbox.fault("storage", "status", status=403)
    with pytest.raises(VisioProviderError):
        task.run()
    sandbox.clear_faults()
    result = run_task(ask(destination=str(blocked)), task, cleared=cleared).run()
    assert len(result["photos"]["files"]) == 3
    assert made(sandbox) == [result["id"]]


def test_what_a_cleared_task_waits_for_once_more_is_wanted_again(sandbox, run_task, tmp_path):
    task = run_task(ask(wait_for_photos=False))
    request_id = task.run()["id"]
    task = run_task(ask(), task, cleared=True)
    assert defer(task) == request_id
    sandbox.act(request_id, "submit")
    assert run_task(ask(), task, cleared=True).run()["id"] == request_id


@needs_store
def test_a_task_that_got_its_photos_asks_anew_when_it_is_cleared(sandbox, run_task):
    sandbox.person("submit", open_after=1, photo_every=1)
    task = run_task(ask())
    earlier = task.run()["id"]
    later = run_task(ask(), task, cleared=True).run()["id"]
    assert earlier != later
    assert made(sandbox) == [earlier, later]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("end", "cancel_on_kill", "anew"),
    [
        ("delete", False, True),
        ("delete", True, True),
        ("cancel", True, False),
        ("cancel", False, False),
        ("expire", True, False),
    ],
)
def test_without_a_store_a_task_says_whether_its_retry_asks_anew(
    sandbox, run_task, later, end, cancel_on_kill, anew, deferrable
):
    how = {"cancel_on_kill": cancel_on_kill, "deferrable": deferrable}
    task = run_task(ask(**how), store=None)
    later(90, lambda: sandbox.act(made(sandbox)[0], end))
    says = "a retry asks again" if anew else "retry does not ask again"
    with pytest.raises(PhotoRequestFailedError, match=says) as ended:
        task.run()
    (request_id,) = made(sandbox)
    assert request_id in str(ended.value)
    assert ("does not ask again" in str(ended.value)) != anew
    again = run_task(ask(**how, wait_for_photos=False), task)
    if anew:
        assert again.run()["id"] != request_id
    else:
        with pytest.raises(PhotoRequestFailedError, match=says):
            again.run()


@pytest.mark.parametrize("cancel_on_kill", [False, True])
def test_without_a_store_a_request_that_is_deleted_and_listed_is_not_asked_for_again(
    sandbox, run_task, later, cancel_on_kill
):
    """A service may keep what was deleted in its list, with a word for it."""
    task = run_task(ask(cancel_on_kill=cancel_on_kill), store=None)

    def delete() -> None:
        (listed,) = VisionoHook().list_photo_requests()
        sandbox.act(listed["id"], "delete")
        body = {"data": [{**listed, "status": "deleted"}], "links": {"next": None}}
        sandbox.fault("visiono", "body", method="GET", path="^/photo-requests$", status=200, body=body)

    later(90, delete)
    says = "; a retry asks again, unless Visiono still lists it"
    with pytest.raises(PhotoRequestFailedError, match=says):
        task.run()
    again = run_task(ask(cancel_on_kill=cancel_on_kill), task)
    with pytest.raises(PhotoRequestFailedError, match=says):
        again.run()
    assert len(made(sandbox)) == 1


@pytest.mark.parametrize("wait", [True, False], ids=["waits", "only asks"])
def test_a_success_that_airflow_never_heard_of_is_no_reason_to_ask_again(sandbox, first, run_task, wait):
    sandbox.person("submit", open_after=1, photo_every=1)
    task = first(ask(wait_for_photos=wait))
    request_id = task.run()["id"]
    assert run_task(ask(wait_for_photos=wait), task).run()["id"] == request_id
    assert made(sandbox) == [request_id]


@pytest.mark.parametrize("end", ["expire", "cancel", "delete"])
def test_a_request_that_ended_otherwise_is_asked_for_anew_by_a_clear_only(sandbox, first, run_task, end):
    task = first(ask())
    request_id = defer(task)
    sandbox.act(request_id, end)
    for _ in range(2):
        if end == "delete" and task.store is None:
            break  # nobody knows of it any more
        task = run_task(ask(), task)
        with pytest.raises(PhotoRequestFailedError, match=f"{request_id}.*retry does not ask again: clear"):
            task.run()
    assert defer(run_task(ask(), task, cleared=True)) != request_id


@pytest.mark.parametrize("end", ["expire", "cancel", "delete"])
def test_a_retry_that_does_not_wait_has_no_success_with_a_request_that_has_ended(
    sandbox, first, run_task, end
):
    task = first(ask(wait_for_photos=False))
    request_id = task.run()["id"]
    sandbox.act(request_id, end)
    for _ in range(2):  # Airflow did not hear of the success
        if end == "delete" and task.store is None:
            break  # nobody knows of it any more
        task = run_task(ask(wait_for_photos=False), task)
        with pytest.raises(PhotoRequestFailedError, match=f"{request_id}.*retry does not ask again: clear"):
            task.run()
    assert made(sandbox) == [request_id]
    assert run_task(ask(wait_for_photos=False), task, cleared=True).run()["id"] != request_id


@pytest.mark.parametrize("word", ["refused", "under_review"])
def test_a_retry_takes_a_status_that_it_does_not_know_for_open(sandbox, run_task, monkeypatch, word):
    task = run_task(ask())
    request_id = defer(task)
    real = VisionoHook.get_photo_request
    monkeypatch.setattr(VisionoHook, "get_photo_request", lambda self, i: {**real(self, i), "status": word})
    assert defer(run_task(ask(), task)) == request_id
    assert made(sandbox) == [request_id]


@pytest.mark.parametrize("then", ["gone", "cancelled"])
def test_what_our_own_on_kill_deleted_is_asked_for_anew_by_a_retry(sandbox, run_task, then):
    sandbox.settings(deleted_requests=then)
    task = run_task(ask(cancel_on_kill=True))
    request_id = defer(task)
    task.operator.on_kill()  # a worker that is shut down ends its tasks so, and Airflow retries them
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 1
    assert defer(run_task(ask(cancel_on_kill=True), task)) != request_id


@needs_store
@pytest.mark.parametrize("end", ["delete", "cancel"])
def test_what_somebody_else_deleted_is_not_asked_for_again_by_a_retry(sandbox, run_task, end):
    task = run_task(ask(cancel_on_kill=True))
    with pytest.raises(PhotoRequestFailedError):
        task.run(lambda: sandbox.act(made(sandbox)[0], end))
    with pytest.raises(PhotoRequestFailedError, match="retry does not ask again"):
        run_task(ask(cancel_on_kill=True), task).run()
    assert len(made(sandbox)) == 1


@needs_store
@pytest.mark.parametrize("deferrable", [True, False])
def test_what_somebody_deletes_after_its_photos_came_is_not_asked_for_again_by_a_retry(
    sandbox, run_task, tmp_path, deferrable
):
    def store() -> VisionoCreatePhotoRequestOperator:
        return ask(destination=str(tmp_path / "photos"), cancel_on_kill=True, deferrable=deferrable)

    sandbox.person("submit", open_after=1, photo_every=1)
    sandbox.fault("storage", "status", status=403)
    task = run_task(store())
    with pytest.raises(TransferError):
        task.run()
    (request_id,) = made(sandbox)
    sandbox.act(request_id, "delete")
    with pytest.raises(PhotoRequestFailedError, match="retry does not ask again"):
        run_task(store(), task).run()
    assert made(sandbox) == [request_id]


@needs_store
def test_a_404_page_that_a_proxy_sends_for_a_while_is_not_taken_for_deleted(sandbox, run_task):
    task = run_task(ask())
    request_id = defer(task)
    sandbox.fault("visiono", "html", status=404, method="GET", path="^/photo-requests/", times=9)
    again = run_task(ask(), task)
    with pytest.raises(UnexpectedReplyError):
        again.operator.execute(again.context)
    sandbox.clear_faults()
    assert defer(run_task(ask(), again)) == request_id
    assert made(sandbox) == [request_id]


def test_replace_deletes_what_is_open_and_asks_anew_when_the_task_is_cleared(sandbox, first, run_task):
    task = first(ask(on_existing="replace"))
    request_id = defer(task)
    task = run_task(ask(on_existing="replace"), task)
    assert defer(task) == request_id
    task = run_task(ask(on_existing="replace"), task, cleared=True)
    replaced = defer(task)
    assert made(sandbox) == [request_id, replaced]
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 1
    assert defer(run_task(ask(on_existing="replace"), task)) == replaced


@needs_store
@pytest.mark.parametrize(
    "told",
    [{"status": "in_review"}, {}, {"id": "req_other", "status": "pending"}],
    ids=["word", "none", "id"],
)
def test_replace_deletes_nothing_of_which_the_service_does_not_say_that_it_is_open(sandbox, run_task, told):
    """Its photos may be there, or it is somebody else's."""
    task = run_task(ask())
    request_id = defer(task)
    body = {"data": {"id": request_id, **told}}
    sandbox.fault("visiono", "body", method="GET", path=f"/{request_id}$", body=body)
    with pytest.raises(VisioProviderError, match=rf"does not say.*{request_id} is open.*on_existing='reuse'"):
        run_task(ask(on_existing="replace"), task, cleared=True).run()
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 0
    assert made(sandbox) == [request_id]


@pytest.mark.parametrize("deleted_requests", ["gone", "cancelled"])
def test_replace_asks_anew_where_somebody_else_was_quicker_to_delete(
    sandbox, first, run_task, monkeypatch, deleted_requests
):
    sandbox.settings(deleted_requests=deleted_requests)
    task = first(ask())
    request_id = defer(task)
    real = VisionoHook.delete_photo_request

    def twice(self: Any, found: str) -> None:
        real(self, found)
        sandbox.fault("visiono", "status", status=404, method="DELETE", times=1)
        real(self, found)

    monkeypatch.setattr(VisionoHook, "delete_photo_request", twice)
    assert defer(run_task(ask(on_existing="replace"), task, cleared=True)) != request_id


def test_fail_says_what_is_open_when_the_task_is_cleared(sandbox, first, run_task):
    task = first(ask(on_existing="fail"))
    request_id = defer(task)
    task = run_task(ask(on_existing="fail"), task)
    assert defer(task) == request_id
    with pytest.raises(VisioProviderError, match=f"{request_id}.*still open"):
        defer(run_task(ask(on_existing="fail"), task, cleared=True))
    assert made(sandbox) == [request_id]


@pytest.mark.parametrize("after", [30, 100])
def test_a_call_that_was_on_its_way_when_its_worker_died_is_waited_for(
    sandbox, first, run_task, monkeypatch, later, after
):
    task = first(ask())
    dies(task, monkeypatch, carried_out_late(later, after, KeyboardInterrupt()))
    assert [defer(run_task(ask(), task))] == made(sandbox)


def test_a_call_that_the_service_carries_out_after_we_gave_up_on_it_is_waited_for(
    sandbox, first, monkeypatch, later
):
    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_photo_request", carried_out_late(later, 40))
        request_id = defer(first(ask()))
    assert made(sandbox) == [request_id]


def test_a_call_that_had_to_wait_for_its_turn_is_waited_for_longer(
    sandbox, run_task, monkeypatch, clock, later, connection
):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, rate_limit_wait=600)
    task = run_task(ask(deferrable=False, timeout=1))
    real = VisionoHook.create_photo_request

    def die(self, *args, **kwargs):
        later(500, lambda: real(self, *args, **kwargs))
        raise KeyboardInterrupt

    dies(task, monkeypatch, die)
    with pytest.raises(WaitTimeoutError):
        run_task(ask(deferrable=False, timeout=1), task).run()
    clock.sleep(600)
    assert len(made(sandbox)) == 1


@pytest.mark.parametrize(
    ("extra", "after"),
    [({"timeout": 300}, 290), ({"max_attempts": 10, "connect_timeout": 60}, 650)],
    ids=["for the reply", "for a connection"],
)
def test_a_call_is_waited_for_as_long_as_the_connection_would_have_waited(
    sandbox, first, run_task, monkeypatch, clock, later, connection, extra, after
):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, **extra)
    task = first(ask())
    dies(task, monkeypatch, carried_out_late(later, after, KeyboardInterrupt()))
    request_id = defer(run_task(ask(), task))
    clock.sleep(after)
    assert made(sandbox) == [request_id]


def test_a_call_whose_connection_breaks_off_early_is_waited_for_as_long(
    sandbox, first, monkeypatch, later, connection
):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, timeout=300)
    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_photo_request", carried_out_late(later, 250))
        request_id = defer(first(ask()))
    assert made(sandbox) == [request_id]


def test_execution_timeout_of_a_blocking_wait_counts_from_the_start_of_the_try(sandbox, run_task, clock):
    task = run_task(ask(deferrable=False))
    sandbox.fault("visiono", "rate_limit", method="POST", retry_after=60, times=1)
    again = run_task(ask(deferrable=False, execution_timeout=timedelta(minutes=10)), task)
    started = clock.now()
    with pytest.raises(WaitTimeoutError):
        again.run()
    assert 590 <= clock.now() - started < 600


@needs_store
def test_an_intent_of_long_ago_costs_one_look(sandbox, run_task, monkeypatch, clock):
    task = run_task(ask())
    dies(task, monkeypatch, Mock(side_effect=KeyboardInterrupt))
    clock.sleep(300)
    before = clock.now()
    defer(run_task(ask(), task))
    assert clock.now() - before < 5
    assert sandbox.count("visiono", "GET /photo-requests") == 1


@needs_store
def test_another_airflow_with_the_same_dag_and_run_does_not_share_a_request(sandbox, run_task):
    here, there = run_task(ask()), run_task(ask())
    theirs = defer(there)
    sandbox.fault("visiono", "drop_before", method="POST", times=9)
    with pytest.raises(ConnectionFailedError):
        here.operator.execute(here.context)
    sandbox.clear_faults()
    assert defer(run_task(ask(), here)) != theirs


def test_changed_input_is_noticed_and_said(sandbox, first, run_task, caplog):
    task = first(ask())
    request_id = defer(task)
    caplog.clear()
    assert defer(run_task(ask(instructions="Photograph the roof"), task)) == request_id
    assert "asks for something else" in caplog.text
    caplog.clear()
    defer(run_task(ask(), task))
    assert "asks for something else" not in caplog.text


def test_a_mapped_task_whose_list_has_changed_takes_nobody_else_s_request(sandbox, first, run_task):
    task = first(ask(instructions="Photograph the dent, Ann"))
    task.map_index = 3
    hers = defer(task)

    def bob(*, cleared: bool = True, **more: Any) -> Any:
        again = run_task(ask(instructions="Photograph the dent, Bob", **more), task, cleared=cleared)
        again.map_index = 3
        return again

    for cleared in (True, False):  # a person's wish, and the retry after it
        with pytest.raises(VisioProviderError, match=f"{hers}.*of somebody else.*on_existing='replace'"):
            defer(bob(cleared=cleared))
    assert made(sandbox) == [hers]
    assert defer(bob(on_existing="replace")) != hers


@needs_store
@pytest.mark.parametrize("end", ["expire", "cancel", "delete"])
def test_a_mapped_list_in_another_order_asks_nobody_who_is_asked_already(sandbox, run_task, end):
    def at(index: int, who: str, earlier: Any = None, **more: Any) -> Any:
        task = run_task(ask(instructions=who, **more), earlier, cleared=earlier is not None)
        task.map_index = index
        return task

    mary, bob = at(0, "Mary"), at(1, "Bob")
    hers, his = defer(mary), defer(bob)
    sandbox.act(hers, end)
    for index, who, earlier in ((0, "Bob", mary), (1, "Mary", bob)):
        with pytest.raises(VisioProviderError, match=r"of somebody else.*on_existing='replace'"):
            defer(at(index, who, earlier))
    assert made(sandbox) == [hers, his]
    again = at(0, "Mary", mary)
    assert defer(again) not in (hers, his), "with the list as it was, she is asked anew"
    defer(at(0, "Mary, please", again, on_existing="replace"))
    assert len(made(sandbox)) == 4


def test_the_user_s_metadata_is_kept_beside_the_tag(sandbox, run_task):
    request_id = defer(run_task(ask(metadata={"claim": "C-1"})))
    metadata = sandbox.control("GET", f"/photo-requests/{request_id}")["metadata"]
    assert metadata["claim"] == "C-1"
    assert set(metadata) == {"claim", "airflow_task", "airflow_input", "airflow_ask"}


def test_a_service_that_tells_no_metadata_cannot_be_asked_twice(sandbox, run_task, monkeypatch):
    task = run_task(ask(), store=None)
    defer(task)
    listed = VisionoHook.list_photo_requests

    def without(self, **how):
        return ({k: v for k, v in one.items() if k != "metadata"} for one in listed(self, **how))

    got = VisionoHook.get_photo_request
    monkeypatch.setattr(VisionoHook, "list_photo_requests", without)
    monkeypatch.setattr(
        VisionoHook,
        "get_photo_request",
        lambda self, i: {k: v for k, v in got(self, i).items() if k != "metadata"},
    )
    with pytest.raises(UnexpectedReplyError, match="does not return the metadata"):
        defer(run_task(ask(), task))
    assert len(made(sandbox)) == 1


def test_the_deadline_counts_from_when_the_person_was_asked(sandbox, first, run_task, clock):
    started = clock.now()
    task = first(ask(timeout=timedelta(hours=1)))
    defer(task)
    clock.sleep(1800)
    again = run_task(ask(timeout=timedelta(hours=1)), task)
    with pytest.raises(TaskDeferred) as caught:
        again.operator.execute(again.context)
    assert caught.value.trigger.deadline == pytest.approx(started + 3600, abs=2)


def test_clearing_begins_the_wait_anew(sandbox, first, run_task, clock):
    task = first(ask(timeout=timedelta(hours=1)))
    request_id = defer(task)
    clock.sleep(4000)
    task = run_task(ask(timeout=timedelta(hours=1)), task)
    with pytest.raises(WaitTimeoutError, match="A retry does not ask again, and has no more time"):
        task.operator.execute(task.context)
    task = run_task(ask(timeout=timedelta(hours=1)), task, cleared=True)
    started = clock.now()
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    assert caught.value.trigger.ids == [request_id]
    assert caught.value.trigger.deadline == pytest.approx(started + 3600, abs=2)


def test_execution_timeout_ends_a_deferred_wait_in_our_words(sandbox, run_task, clock):
    task = run_task(ask(execution_timeout=timedelta(minutes=10), timeout=timedelta(hours=1)))
    started = clock.now()
    with pytest.raises(WaitTimeoutError, match="A retry does not ask again"):
        task.run()
    assert 590 <= clock.now() - started < 600  # before Airflow's own
    assert task.deferrals[0].timeout > timedelta(minutes=10)
    assert len(made(sandbox)) == 1


def test_an_expired_request_says_so(sandbox, run_task):
    task = run_task(ask())
    with pytest.raises(PhotoRequestFailedError, match="expired"):
        task.run(lambda: sandbox.act(made(sandbox)[0], "expire"))


@needs_store
def test_an_export_is_started_once_and_anew_when_it_was_fetched(sandbox, run_task):
    def export() -> VizdomExportDashboardOperator:
        return VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123")

    task = run_task(export())
    first_id = defer(task)
    again = run_task(export(), task)
    assert again.run()["id"] == first_id
    assert run_task(export(), again).run()["id"] == first_id
    assert run_task(export(), again, cleared=True).run()["id"] != first_id
    assert sandbox.count("vizdom", "POST /exports") == 2


def test_an_export_that_failed_is_started_again_by_a_retry(sandbox, run_task):
    def export() -> VizdomExportDashboardOperator:
        return VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123")

    task = run_task(export())
    first_id = defer(task)
    sandbox.control("POST", f"/exports/{first_id}/fail")
    task = run_task(export(), task)
    with pytest.raises(ExportFailedError, match="A retry of this task exports again") as failed:
        task.run(lambda: sandbox.control("POST", f"/exports/{task.deferrals[0].trigger.ids[0]}/fail"))
    assert "Clear the task that started it" not in str(failed.value)
    task = run_task(export(), task)
    assert task.run()["id"] != first_id
    assert sandbox.count("vizdom", "POST /exports") == 3


def test_an_export_whose_reply_was_lost_may_be_started_twice(sandbox, run_task):
    """No list of exports is known, so nobody can tell; the docs say so."""
    sandbox.fault("vizdom", "drop_after", method="POST", times=1)
    task = run_task(VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123"))
    with pytest.raises(ConnectionFailedError) as caught:
        task.operator.execute(task.context)
    assert caught.value.ambiguous
    assert "a retry does it again, because nobody can look it up" in str(caught.value)
    assert "may or may not" not in str(caught.value)
    defer(run_task(VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123"), task))
    assert sandbox.count("vizdom", "POST /exports") == 2


def delete(*ids: str) -> VisionoDeletePhotoRequestOperator:
    return VisionoDeletePhotoRequestOperator(task_id="d", request_id=list(ids))


@needs_store
def test_a_deletion_whose_worker_died_is_done(sandbox, run_task, monkeypatch):
    ids = [VisionoHook().create_photo_request("Photograph the dent")["id"] for _ in range(2)]
    task = run_task(delete(*ids))
    real = VisionoHook.delete_photo_request

    def die(self, request_id):
        real(self, request_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "delete_photo_request", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()
    assert run_task(delete(*ids), task).run() == [{"id": i, "deleted": True} for i in ids]


def test_a_retry_does_not_hide_that_an_id_was_wrong(sandbox, run_task):
    task = run_task(delete("req_unknown"))
    for _ in range(3):
        with pytest.raises(NotFoundError):
            task.run()
        task = run_task(delete("req_unknown"), task)


def stored(task: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of what a task writes down about its deletions, as it grows."""
    real, written = type(task.store).set, list[Any]()

    def write(self: Any, key: str, value: Any, **more: Any) -> None:
        if key == "visio_deleting":
            written.append(value)
        real(self, key, value, **more)

    monkeypatch.setattr(type(task.store), "set", write)
    return written


@needs_store
def test_deletions_are_written_down_once(sandbox, run_task, monkeypatch):
    ids = [VisionoHook().create_photo_request("Photograph the dent")["id"] for _ in range(5)]
    task = run_task(delete(*ids))
    written = stored(task, monkeypatch)
    task.run()
    assert written == [ids]
    run_task(delete(*ids), task).run()
    assert written == [ids, ids]


@needs_store
def test_what_was_never_sent_is_not_taken_for_deleted_by_the_task(sandbox, run_task):
    first, second = (VisionoHook().create_photo_request("Photograph the dent")["id"] for _ in range(2))
    sandbox.fault("visiono", "status", status=403, method="DELETE", times=1)
    task = run_task(delete(first, second))
    with pytest.raises(PermissionDeniedError):
        task.run()
    sandbox.act(second, "delete")
    with pytest.raises(NotFoundError):
        run_task(delete(first, second), task).run()


@needs_store
def test_a_try_without_a_record_takes_nobody_else_s_request(sandbox, run_task):
    """Another Airflow with the same DAG and run uses the workspace, and our first try failed before it asked."""
    theirs = defer(run_task(ask()))
    assert defer(run_task(ask(), run_task(ask()))) != theirs
    assert len(made(sandbox)) == 2
    assert sandbox.count("visiono", "GET /photo-requests") == 0


@needs_store
def test_a_record_that_cannot_be_read_is_not_taken_for_none(sandbox, run_task):
    task = run_task(ask())
    defer(task)
    again = run_task(ask(), task)
    again.context["task_state_store"].set("visio_intent", {"written": "by a later version"})
    defer(again)
    assert len(made(sandbox)) == 1
