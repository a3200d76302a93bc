"""Operators for Vizdom's workspace: made once, tested, and people invited."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.log import redact
from api.local_server import Answer
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.idempotency.find_by_name import BEFORE_KEY
from airflow_provider_visio.idempotency.state_store import StateStore
from airflow_provider_visio.operators.vizdom import (
    VizdomCreateDashboardOperator,
    VizdomCreateDataSourceOperator,
    VizdomExportDashboardOperator,
    VizdomInviteMemberOperator,
    VizdomTestDataSourceOperator,
)

DATABASE = {
    "host": "db.example.com",
    "port": 5432,
    "database": "shop",
    "username": "bi",
    "password": "pw-12345",
}


def board(**more: Any) -> VizdomCreateDashboardOperator:
    return VizdomCreateDashboardOperator(**{"task_id": "make", "name": "Claims", **more})


def source(**more: Any) -> VizdomCreateDataSourceOperator:
    fields = {"task_id": "make", "name": "Claims", "source_type": "postgresql", "settings": DATABASE}
    return VizdomCreateDataSourceOperator(**{**fields, **more})


def invite(**more: Any) -> VizdomInviteMemberOperator:
    return VizdomInviteMemberOperator(**{"task_id": "invite", "email": "new@example.com", **more})


def export(dashboard_id: Any) -> VizdomExportDashboardOperator:
    return VizdomExportDashboardOperator(
        task_id="export", dashboard_id=dashboard_id, wait_for_completion=False
    )


def claims(make: Any) -> list[str]:
    """Return the ids of all things by the name that the tasks give."""
    hook = VizdomHook()
    found = hook.list_dashboards() if make is board else hook.list_data_sources()
    return [one["id"] for one in found if one["name"] == "Claims"]


MAKES = pytest.mark.parametrize("make", [board, source])


@pytest.fixture(params=["with a store", "without"])
def first(request, run_task):
    """Return a function that makes the first try of a task, with Airflow's state store and without."""
    return lambda operator: run_task(operator, store=request.param == "with a store" or None)


def dies_after_the_call(task: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a task whose worker dies before it knows the reply, by an error that nothing of ours sees."""
    name = "create_dashboard" if make is board else "create_data_source"
    real = getattr(VizdomHook, name)

    def die(*args: Any, **more: Any) -> None:
        real(*args, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VizdomHook, name, die)
        with pytest.raises(KeyboardInterrupt):
            task.operator.execute(task.context)


def test_a_dashboard_s_output_is_small_and_its_link_is_kept(sandbox, run_task, connection):
    connection("vizdom_default", sandbox.vizdom_url, sandbox.vizdom_key, workspace="acme")
    task = run_task(board(description="By week"))
    output = task.run()
    assert set(output) == {"id", "name", "created_at"}
    assert task.xcom["visio_link"] == f"https://app.vizdom.ai/acme/dashboards/{output['id']}"
    assert VizdomHook().get_dashboard(output["id"])["description"] == "By week"


@pytest.mark.parametrize("workspace", [None, "acme"])
def test_an_export_takes_the_output_of_the_task_that_made_the_dashboard(
    sandbox, run_task, connection, workspace
):
    extra = {"workspace": workspace} if workspace else {}
    connection("vizdom_default", sandbox.vizdom_url, sandbox.vizdom_key, **extra)
    made = run_task(board()).run()
    task = run_task(export(made))
    exported = task.run()
    assert exported["dashboard_id"] == made["id"]
    assert task.xcom.get("visio_link", "").endswith(f"/acme/dashboards/{made['id']}" if workspace else "")
    # An export's output has an id of its own, which is no dashboard's.
    assert run_task(export(exported)).run()["dashboard_id"] == made["id"]


@needs_store
def test_an_export_is_known_by_the_dashboard_s_id_whatever_else_was_passed_on(sandbox, run_task):
    made = run_task(board()).run()
    task = run_task(export(made))
    # Of a mapped task, for one with other input may be about another dashboard.
    task.map_index = 3
    export_id = task.run()["id"]
    for passed in ({**made, "name": "Renamed"}, made["id"]):
        task = run_task(export(passed), task)
        task.map_index = 3
        assert task.run()["id"] == export_id
    assert sandbox.count("vizdom", "POST /exports") == 1


def test_an_export_of_several_dashboards_is_refused(sandbox, run_task):
    with pytest.raises(InvalidRequestError, match="dashboard_id: give one, not 2; map the task"):
        export(["dash_a", "dash_b"])
    operator = export("{{ params.dashboards }}")
    operator.dashboard_id = [{"id": "dash_a"}, {"id": "dash_b"}]
    with pytest.raises(InvalidRequestError, match="dashboard_id: give one, not 2; map the task"):
        run_task(operator).run()
    assert sandbox.calls() == []


def test_a_data_source_s_output_has_no_settings(sandbox, run_task):
    output = run_task(source()).run()
    assert output.items() >= {"name": "Claims", "type": "postgresql", "status": "untested"}.items()
    assert set(output) == {"id", "name", "type", "status", "created_at"}


def test_a_data_source_takes_its_settings_from_a_connection(sandbox, run_task, monkeypatch):
    fields = {"conn_type": "postgres", "host": "unreachable.example", "port": 1, "schema": "s", "login": "l"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**fields, "password": "pw-12345"}))
    made = run_task(source(settings=None, source_conn_id="shop")).run()
    assert "unreachable.example" in VizdomHook().test_data_source(made["id"])["message"]


@MAKES
def test_a_retry_after_all_went_well_but_its_end_makes_no_other(sandbox, run_task, make):
    task = run_task(make())
    made = task.run()["id"]
    assert run_task(make(), task).run()["id"] == made
    assert claims(make) == [made]


@MAKES
def test_a_try_that_died_before_it_knew_the_id_is_found_by_its_name(
    sandbox, first, run_task, monkeypatch, make
):
    task = first(make())
    dies_after_the_call(task, make, monkeypatch)
    (made,) = claims(make)
    assert run_task(make(), task).run()["id"] == made
    assert claims(make) == [made]


@needs_store
@MAKES
def test_a_call_that_was_on_its_way_after_a_slow_list_is_waited_for(
    sandbox, run_task, monkeypatch, clock, later, make
):
    kind = "dashboard" if make is board else "data_source"
    listed, created = getattr(VizdomHook, f"list_{kind}s"), getattr(VizdomHook, f"create_{kind}")

    def slow(*args: Any, **more: Any) -> Any:
        clock.sleep(170)  # pages that wait for their turn
        return listed(*args, **more)

    def die(*args: Any, **more: Any) -> None:
        later(30, lambda: created(*args, **more))
        raise KeyboardInterrupt

    task = run_task(make())
    with monkeypatch.context() as patch:
        patch.setattr(VizdomHook, f"list_{kind}s", slow)
        patch.setattr(VizdomHook, f"create_{kind}", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()
    made = run_task(make(), task).run()["id"]
    clock.sleep(60)
    assert claims(make) == [made]


@MAKES
@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
def test_a_lost_reply_creates_no_second_one(sandbox, first, make, kind):
    sandbox.fault("vizdom", kind, method="POST", times=1)
    assert [first(make()).run()["id"]] == claims(make)
    assert sandbox.count("vizdom", "POST /dashboards" if make is board else "POST /data-sources") == 1


@MAKES
def test_a_call_that_never_arrived_is_made_by_the_next_try(sandbox, first, run_task, make):
    sandbox.fault("vizdom", "drop_before", method="POST", times=1)
    task = first(make())
    with pytest.raises(ConnectionFailedError, match="so it was not created; the next try creates it"):
        task.run()
    assert claims(make) == []
    assert [run_task(make(), task).run()["id"]] == claims(make)


@MAKES
def test_another_of_the_same_name_that_was_there_is_not_taken_for_it(sandbox, run_task, make):
    theirs = run_task(make()).run()["id"]
    sandbox.advance(60)
    sandbox.fault("vizdom", "drop_after", method="POST", times=1)
    task = run_task(make())
    task.run_id = "manual__2"
    ours = task.run()["id"]
    assert claims(make) == [theirs, ours]
    assert ours != theirs


@needs_store
@MAKES
def test_a_call_that_never_arrived_takes_none_that_was_there_for_its_own(sandbox, run_task, make):
    theirs = run_task(make()).run()["id"]
    sandbox.fault("vizdom", "drop_before", method="POST", times=1)
    task = run_task(make())
    with pytest.raises(ConnectionFailedError):
        task.run()
    assert run_task(make(), task).run()["id"] != theirs
    assert len(claims(make)) == 2


@MAKES
def test_could_not_look_is_never_not_there(sandbox, first, run_task, make):
    task = first(make())
    sandbox.fault("vizdom", "drop_after", method="POST", times=1)
    sandbox.fault("vizdom", "status", method="GET", status=500, skip=1)
    for _ in range(3):
        with pytest.raises(VisioProviderError):
            task.run()
        task = run_task(make(), task)
    sandbox.clear_faults()
    assert [task.run()["id"]] == claims(make)


@needs_store
@MAKES
@pytest.mark.parametrize("renamed", ["Claims", "Claims of today"])
def test_a_name_that_changes_from_try_to_try_is_looked_for_as_it_was_sent(
    sandbox, run_task, monkeypatch, make, renamed
):
    task = run_task(make())
    dies_after_the_call(task, make, monkeypatch)
    assert [run_task(make(name=renamed), task).run()["id"]] == claims(make)


@MAKES
@pytest.mark.parametrize(("on_existing", "made"), [("reuse", 1), ("replace", 2), ("fail", 1)])
def test_a_cleared_task_does_as_on_existing_says(sandbox, run_task, make, on_existing, made):
    task = run_task(make(on_existing=on_existing))
    before = task.run()["id"]
    again = run_task(make(on_existing=on_existing), task, cleared=True)
    if on_existing == "fail":
        with pytest.raises(VisioProviderError, match="on_existing is 'fail'"):
            again.run()
    else:
        assert (again.run()["id"] == before) == (on_existing == "reuse")
    # A data source that is replaced is deleted; for dashboards no such call is known.
    assert len(claims(make)) == (1 if make is source else made)


@needs_store
@MAKES
def test_one_that_was_to_be_replaced_is_not_taken_for_the_other(sandbox, run_task, monkeypatch, make):
    task = run_task(make(on_existing="replace"))
    before = task.run()["id"]
    again = run_task(make(on_existing="replace"), task, cleared=True)

    write = StateStore.set

    def die(self: Any, key: str, value: Any) -> None:
        if key == BEFORE_KEY:
            raise KeyboardInterrupt
        write(self, key, value)

    with monkeypatch.context() as patch:
        # After it has written down that it asks anew, and before it did.
        patch.setattr(VizdomHook, "delete_data_source", lambda *_: None)
        patch.setattr(StateStore, "set", die)
        with pytest.raises(KeyboardInterrupt):
            again.run()
    assert run_task(make(on_existing="replace"), again).run()["id"] != before


@MAKES
def test_without_a_store_one_from_before_the_run_is_not_taken_for_ours(
    sandbox, run_task, monkeypatch, clock, make
):
    theirs = run_task(make()).run()["id"]
    clock.sleep(3 * 3600)
    due = SimpleNamespace(run_after=datetime.fromtimestamp(clock.now(), UTC))
    task = run_task(make(), store=None)
    task.context["dag_run"] = due
    dies_after_the_call(task, make, monkeypatch)
    again = run_task(make(), task)
    again.context["dag_run"] = due
    assert claims(make) == [theirs, again.run()["id"]]


def test_one_that_was_deleted_is_made_again(sandbox, run_task):
    task = run_task(source())
    before = task.run()["id"]
    VizdomHook().delete_data_source(before)
    assert run_task(source(), task).run()["id"] != before
    assert len(claims(source)) == 1


@MAKES
def test_a_refusal_is_no_attempt(sandbox, first, run_task, make):
    sandbox.settings(vizdom_role="viewer")
    task = first(make())
    with pytest.raises(PermissionDeniedError, match="Put the key of an Admin"):
        task.run()
    sandbox.settings(vizdom_role="editor")
    assert [run_task(make(), task).run()["id"]] == claims(make)


def test_a_test_that_passes(sandbox, run_task):
    made = run_task(source()).run()
    test = VizdomTestDataSourceOperator(task_id="t", data_source_id=made)
    passed = {"id": made["id"], "success": True, "message": "Connected."}
    assert run_task(test).run() == passed
    several = VizdomTestDataSourceOperator(task_id="t", data_source_id=[made])
    assert run_task(several).run() == [passed]


def test_a_test_that_fails_says_why_and_what_to_do(sandbox, run_task):
    good, bad = (
        VizdomHook().create_data_source(host, "postgresql", {**DATABASE, "host": host})["id"]
        for host in ("db.example.com", "unreachable.example")
    )
    test = VizdomTestDataSourceOperator(task_id="t", data_source_id=[bad, good])
    with pytest.raises(ServiceError) as caught:
        run_task(test).run()
    for part in (
        bad,
        "unreachable.example: the connection timed out",
        "Vizdom IP Addresses",
        "vizdom_default",
    ):
        assert part in str(caught.value)
    assert good not in str(caught.value)
    assert {one["status"] for one in VizdomHook().list_data_sources()} == {"connected", "error"}


def test_a_test_of_one_that_is_not_there_says_so(sandbox, run_task):
    with pytest.raises(NotFoundError, match="Data source with ID 'ds_never' does not exist"):
        run_task(VizdomTestDataSourceOperator(task_id="t", data_source_id="ds_never")).run()


def test_a_word_that_is_not_known_is_neither_success_nor_failure(serve, connection, run_task):
    server = serve(Answer(200, {"data": {"status": "queued"}}))
    conn_id = connection("my_vizdom", server.url, "key12345")
    test = VizdomTestDataSourceOperator(task_id="t", data_source_id="s-1", vizdom_conn_id=conn_id)
    with pytest.raises(UnexpectedReplyError, match=r"'queued'.*contract\.test_passed_words"):
        run_task(test).run()


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_somebody_is_invited_and_the_output_names_nobody(sandbox, run_task, role):
    output = run_task(invite(role=role)).run()
    assert set(output) == {"id", "role", "invited"}
    assert (output["role"], output["invited"]) == (role, True)


@pytest.mark.parametrize("make", [board, source, invite])
def test_each_key_of_an_output_is_an_xcom_of_its_own(make):
    assert make().multiple_outputs is True


def test_an_editor_s_key_cannot_invite(sandbox, run_task):
    sandbox.settings(vizdom_role="editor")
    with pytest.raises(PermissionDeniedError, match="Put the key of an Admin"):
        run_task(invite()).run()


@pytest.mark.parametrize("email", ["ada@example.com", "new@example.com"])
def test_somebody_who_is_there_is_an_error_or_is_done(sandbox, run_task, email):
    if email.startswith("new"):
        run_task(invite(email=email)).run()
    with pytest.raises(InvalidRequestError, match=r"already .*ignore_existing=True") as caught:
        run_task(invite(email=email)).run()
    assert email not in str(caught.value)
    assert run_task(invite(email=email, ignore_existing=True)).run() == {"role": "viewer", "invited": False}


@pytest.mark.parametrize(
    ("status", "words", "contract", "there"),
    [
        (409, "Conflict", {}, True),
        (422, "This user already exists", {}, True),
        (422, "The email has already been taken.", {}, True),
        (400, "Somebody has Already been invited so", {}, True),
        (422, "This is no address", {}, False),
        (422, "All seats of your plan are already used.", {}, False),
        (403, "Already invited", {}, False),
        (422, "user_duplicate", {"invited_words": ["Duplicate"]}, True),
    ],
)
def test_how_a_service_says_that_somebody_is_there(
    serve, connection, run_task, status, words, contract, there
):
    server = serve(Answer(status, {"error": {"code": "x", "message": words}}))
    conn_id = connection("my_vizdom", server.url, "key12345", contract=contract)
    task = run_task(invite(ignore_existing=True, vizdom_conn_id=conn_id))
    if there:
        assert task.run()["invited"] is False
    else:
        with pytest.raises(VisioProviderError, match=words):
            task.run()


def test_a_lost_reply_to_an_invite_is_told_and_a_retry_takes_already_for_done(sandbox, first, run_task):
    sandbox.fault("vizdom", "drop_after", method="POST", times=1)
    task = first(invite())
    with pytest.raises(
        ConnectionFailedError, match=r"a retry does it again.* invited already, the task succeeds"
    ):
        task.run()
    assert run_task(invite(), task).run() == {"role": "viewer", "invited": False}
    assert sandbox.count("vizdom", "POST /invites") == 2


def test_an_invite_stays_in_doubt_when_the_retry_is_refused_for_the_limit(sandbox, first, run_task):
    sandbox.fault("vizdom", "drop_after", method="POST", times=1)
    task = first(invite())
    with pytest.raises(ConnectionFailedError):
        task.run()
    sandbox.fault("vizdom", "rate_limit", method="POST", retry_after=1800, times=1)
    again = run_task(invite(), task)
    assert again.run() == {"role": "viewer", "invited": False}
    assert again.deferrals


@needs_store
@pytest.mark.parametrize("answer", [Answer(204), Answer(200), Answer(201, {"data": {"status": "pending"}})])
def test_an_invite_without_an_id_is_sent_once(serve, connection, run_task, answer):
    server = serve(answer)
    conn_id = connection("my_vizdom", server.url, "key12345")
    task = run_task(invite(vizdom_conn_id=conn_id))
    assert task.run() == {"role": "viewer", "invited": True}
    assert run_task(invite(vizdom_conn_id=conn_id), task).run() == {"role": "viewer", "invited": True}
    assert len(server.received) == 1


@needs_store
def test_a_retry_of_an_invite_that_was_answered_sends_no_other(sandbox, run_task):
    task = run_task(invite())
    sent = task.run()
    assert run_task(invite(), task).run() == sent
    assert sandbox.count("vizdom", "POST /invites") == 1


def test_an_invite_that_is_cleared_is_sent_anew_once_the_first_has_lapsed(sandbox, run_task):
    task = run_task(invite())
    sent = task.run()["id"]
    sandbox.advance(7 * 86_400)
    assert run_task(invite(), task, cleared=True).run()["id"] != sent
    assert sandbox.count("vizdom", "POST /invites") == 2


def test_without_a_store_an_invite_that_is_cleared_takes_already_for_no_success(sandbox, run_task):
    task = run_task(invite(email="ada@example.com"), store=None)
    with pytest.raises(InvalidRequestError, match="already a member"):
        task.run()
    with pytest.raises(InvalidRequestError, match="already a member"):
        run_task(invite(email="ada@example.com"), task, cleared=True).run()


@needs_store
def test_a_refused_invite_is_no_attempt(sandbox, run_task):
    task = run_task(invite(email="ada@example.com"))
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match="already a member"):
            task.run()
        task = run_task(invite(email="ada@example.com"), task)


def test_what_is_secret_is_masked_once_it_is_rendered(sandbox, run_task):
    operator = source(
        settings={**DATABASE, "host": "shown.example.com", "password": "{{ 'rendered' ~ '-password' }}"}
    )
    operator.render_template_fields({})
    assert operator.settings["password"] == "rendered-password"
    assert redact("rendered-password shown.example.com") == "*** shown.example.com"
    assert redact({"settings": str(operator.settings)})["settings"].count("***") == 1
    someone = invite(email="{{ 'rendered' ~ '@example.com' }}")
    someone.render_template_fields({})
    assert redact(f"to {someone.email}") == "to ***"


@pytest.mark.parametrize(
    "make",
    [
        lambda: board(name=" "),
        lambda: board(on_existing="keep"),
        lambda: board(fields={"name": "Another"}),
        lambda: source(name=""),
        lambda: source(source_type=""),
        lambda: source(settings=None),
        lambda: source(settings={}),
        lambda: source(on_existing="keep"),
        lambda: invite(email=""),
        lambda: invite(role=""),
        lambda: VizdomTestDataSourceOperator(task_id="t", data_source_id=""),
        lambda: VizdomTestDataSourceOperator(task_id="t", data_source_id=["a/b"]),
    ],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(make):
    with pytest.raises(InvalidRequestError):
        make()


@pytest.mark.parametrize("settings", [None, {}, " "])
def test_a_data_source_without_settings_is_told_both_ways_to_give_them(settings):
    with pytest.raises(InvalidRequestError, match=r"settings: it is empty; .*or the id .* as source_conn_id"):
        source(settings=settings)


def test_what_is_not_known_yet_is_let_through():
    source(name="{{ x }}", settings="{{ var.json.shop }}")
    invite(email="{{ var.value.who }}", role="{{ x }}")
    VizdomTestDataSourceOperator(task_id="t", data_source_id="{{ x }}")
