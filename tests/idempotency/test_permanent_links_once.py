"""One permanent link per intent: retries, lost replies and clears make no second one."""

from __future__ import annotations

from typing import Any

import pytest
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.idempotency.find_by_tag import find_link, link_tag
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoDeletePermanentLinkOperator,
    VisionoUpdatePermanentLinkOperator,
)

MARK = {"airflow_task": "a" * 32, "airflow_ask": "b" * 16}
TAG = f"airflow-{'a' * 16}-{'b' * 16}"
ASKED = {"instructions": "The van", "custom_slug": "van-7"}


def make(**more: Any) -> VisionoCreatePermanentLinkOperator:
    return VisionoCreatePermanentLinkOperator(**{"task_id": "l", "instructions": "The van", **more})


def made() -> list[Any]:
    return list(VisionoHook().list_permanent_links())


@pytest.fixture(params=["with a store", "without"])
def first(request, run_task):
    return lambda operator: run_task(operator, store=request.param == "with a store" or None)


def dies(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a task whose worker dies once the link is made, as with kill -9."""
    real = VisionoHook.create_permanent_link

    def die(self, *args, **fields):
        real(self, *args, **fields)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_permanent_link", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ([], []),
        ([{"id": "1", "tags": [TAG]}, {"id": "2", "tags": ["fleet", TAG]}], ["1", "2"]),
        ([{"id": "1", "tags": [f"{TAG}0", f"airflow-{'a' * 16}-", 7, None]}], []),
        ([{"id": "1", "tags": None}, {"id": "2", **ASKED}], []),
        ([{"id": "1", **ASKED}], ["1"]),
        ([{"id": "1", **ASKED, "created_at": "2026-01-01T00:00:00Z"}], []),
        ([{"id": "1", **ASKED, "created_at": "2026-06-02T00:00:00Z"}], ["1"]),
        ([{"id": "1", **ASKED, "instructions": "Their van"}], []),
        ([{"id": "1", "custom_slug": None, "instructions": "The van"}], []),
    ],
)
def test_which_links_are_ours(links, found):
    since = 1_780_272_000.0  # 1 June 2026
    assert [link["id"] for link in find_link(links, MARK, ASKED, since, "c")] == found


def test_of_a_task_whose_request_is_not_known_any_request_is_meant():
    links = [{"id": "1", "tags": [TAG]}, {"id": "2", "tags": [TAG.replace("aaa", "ccc")]}]
    mark = {"airflow_task": MARK["airflow_task"]}
    assert [link["id"] for link in find_link(links, mark, {}, None, "c")] == ["1"]
    assert TAG.startswith(link_tag(mark))


def test_where_nobody_can_tell_it_says_so():
    with pytest.raises(UnexpectedReplyError, match=r"does not return the tags.*custom_slug.*connection c"):
        find_link([{"id": "1", "instructions": "The van"}], MARK, {"instructions": "The van"}, None, "c")


@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
def test_a_reply_that_was_lost_costs_no_second_link(sandbox, first, kind):
    sandbox.fault("visiono", kind, method="POST", times=1)
    link = first(make(fields={"tags": ["fleet"]})).run()
    (listed,) = made()
    assert listed["id"] == link["id"]
    assert listed["tags"][0] == "fleet"
    assert listed["tags"][1].startswith("airflow-")
    assert len(listed["tags"]) == 2


@pytest.mark.parametrize("slug", [None, "van-7"])
def test_a_retry_finds_what_a_dead_worker_has_made(sandbox, first, run_task, monkeypatch, slug):
    task = first(make(custom_slug=slug))
    dies(task, monkeypatch)
    link = run_task(make(custom_slug=slug), task).run()
    assert [listed["id"] for listed in made()] == [link["id"]]


def test_a_success_that_airflow_never_heard_of_is_no_reason_for_another(sandbox, first, run_task):
    task = first(make())
    link = task.run()
    again = run_task(make(), task)
    assert again.run() == link
    assert again.xcom["visio_link"] == link["request_url"]
    assert sandbox.count("visiono", "POST /permanent-links") == 1


def test_somebody_else_s_slug_is_not_taken_for_ours(sandbox, first, run_task):
    VisionoHook().create_permanent_link("The van", custom_slug="van-7")
    sandbox.fault("visiono", "drop_before", method="POST", times=1)
    task = first(make(custom_slug="van-7"))
    with pytest.raises(ConnectionFailedError):
        task.run()
    with pytest.raises(InvalidRequestError, match="custom_slug"):
        run_task(make(custom_slug="van-7"), task).run()


def test_could_not_look_is_never_not_there(sandbox, first, run_task):
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    sandbox.fault("visiono", "status", status=500, method="GET", path="^/permanent-links")
    task = first(make())
    for _ in range(2):
        with pytest.raises(VisioProviderError):
            task.run()
        task = run_task(make(), task)
    sandbox.clear_faults()
    assert [task.run()["id"]] == [link["id"] for link in made()]


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "switched off"])
@pytest.mark.parametrize("cleared", [True, False], ids=["clear", "retry"])
def test_a_link_that_does_not_work_any_more_is_made_anew(sandbox, run_task, gone, cleared):
    task = run_task(make())
    link = task.run()
    if gone:
        VisionoHook().delete_permanent_link(link["id"])
    else:
        VisionoHook().update_permanent_link(link["id"], is_active=False)
    again = run_task(make(), task, cleared=cleared).run()
    assert again["id"] != link["id"]
    assert again["is_active"]


@needs_store
def test_a_cleared_task_keeps_its_link_and_changes_it_to_what_it_asks_for_now(sandbox, run_task, caplog):
    task = run_task(make(custom_slug="van-7"))
    link = task.run()
    changed = make(custom_slug="van-8", items=["Front"], fields={"tags": ["fleet"]})
    for cleared in (True, False):
        task = run_task(changed, task, cleared=cleared)
        kept = task.run()
        assert (kept["id"], kept["custom_slug"]) == (link["id"], "van-8")
        (listed,) = made()
        assert [item["instructions"] for item in listed["items"]] == ["Front"]
        assert listed["tags"][0] == "fleet"
        assert listed["tags"][1].startswith("airflow-")
    # It is changed once, for after that it is what the task asks for.
    assert sandbox.count("visiono", "PATCH /permanent-links/{id}") == 1
    assert "That one is changed accordingly" in caplog.text


def test_a_cleared_task_can_replace_its_link_or_fail(sandbox, run_task):
    task = run_task(make())
    link = task.run()
    with pytest.raises(VisioProviderError, match=f"{link['id']}.*on_existing is 'fail'"):
        run_task(make(on_existing="fail"), task, cleared=True).run()
    other = run_task(make(on_existing="replace"), task, cleared=True).run()
    assert [listed["id"] for listed in made()] == [other["id"]] != [link["id"]]


def test_a_link_that_somebody_else_was_quicker_to_delete_is_replaced(sandbox, run_task, monkeypatch):
    task = run_task(make())
    link = task.run()
    real = VisionoHook.delete_permanent_link

    def twice(self: Any, found: str) -> None:
        real(self, found)
        real(self, found)

    monkeypatch.setattr(VisionoHook, "delete_permanent_link", twice)
    other = run_task(make(on_existing="replace"), task, cleared=True).run()
    assert [listed["id"] for listed in made()] == [other["id"]] != [link["id"]]


@needs_store
def test_a_mapped_task_whose_list_has_changed_changes_nobody_else_s_link(sandbox, run_task):
    task = run_task(make(instructions="Van of Ann"))
    task.map_index = 3
    task.run()
    again = run_task(make(instructions="Van of Bob"), task, cleared=True)
    again.map_index = 3
    with pytest.raises(VisioProviderError, match="of somebody else"):
        again.run()
    assert [listed["instructions"] for listed in made()] == ["Van of Ann"]


@pytest.fixture
def no_tags(monkeypatch) -> None:
    """No sandbox setting is for that: the tags are the plugin's, and it is the plugin's sandbox."""
    real = VisionoHook.create_permanent_link

    def refuses(self, instructions, **fields):
        if "tags" in fields:
            raise InvalidRequestError.of("tags", "The tags field is prohibited")
        return real(self, instructions, **fields)

    monkeypatch.setattr(VisionoHook, "create_permanent_link", refuses)


def test_a_service_that_takes_no_tags_makes_the_link_all_the_same(sandbox, run_task, no_tags, capfd):
    assert run_task(make()).run()["id"]
    assert "goes without" in capfd.readouterr().out


def test_a_link_that_goes_without_a_tag_is_found_by_its_slug(sandbox, first, no_tags):
    """Though the service tells the tags of other links."""
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    link = first(make(custom_slug="van-7")).run()
    assert [listed["id"] for listed in made()] == [link["id"]]


@needs_store
def test_a_later_try_finds_a_link_that_went_without_a_tag(sandbox, run_task, no_tags, monkeypatch):
    task = run_task(make(custom_slug="van-7"))
    dies(task, monkeypatch)
    link = run_task(make(custom_slug="van-7"), task).run()
    assert [listed["id"] for listed in made()] == [link["id"]]


@needs_store
def test_a_call_without_a_tag_that_was_on_its_way_after_a_slow_refusal_is_waited_for(
    sandbox, run_task, monkeypatch, clock, later
):
    real, late = VisionoHook.create_permanent_link, list[str]()

    def die(self: Any, instructions: str, **fields: Any) -> None:
        if "tags" in fields:
            clock.sleep(170)
            raise InvalidRequestError.of("tags", "The tags field is prohibited")
        later(30, lambda: late.append(real(self, instructions, **fields)["id"]))
        raise KeyboardInterrupt

    task = run_task(make(custom_slug="van-7"))
    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "create_permanent_link", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()
    assert [run_task(make(custom_slug="van-7"), task).run()["id"]] == late


def test_of_a_link_without_a_tag_and_a_slug_no_second_one_is_made(
    sandbox, first, run_task, no_tags, monkeypatch
):
    task = first(make())
    dies(task, monkeypatch)
    for _ in range(2):
        task = run_task(make(), task)
        with pytest.raises(UnexpectedReplyError, match="without the provider's tag"):
            task.run()
    assert len(made()) == 1


def test_a_link_without_a_tag_that_was_never_made_is_asked_for_again(sandbox, first, run_task, no_tags):
    VisionoHook().create_permanent_link("Their van")
    sandbox.fault("visiono", "drop_before", method="POST", times=1)
    task = first(make())
    with pytest.raises(ConnectionFailedError):
        task.run()
    assert run_task(make(), task).run()["id"]


def test_new_tags_leave_the_provider_s_own(sandbox, run_task):
    task = run_task(make(fields={"tags": ["fleet"]}))
    link = task.run()
    changes = {"tags": ["vans", "airflow-team"]}
    for _ in range(2):
        run_task(VisionoUpdatePermanentLinkOperator(task_id="u", link_id=link, changes=changes)).run()
    (listed,) = made()
    assert listed["tags"][:2] == ["vans", "airflow-team"]
    assert [tag.startswith("airflow-") for tag in listed["tags"][2:]] == [True]
    assert changes == {"tags": ["vans", "airflow-team"]}


def test_a_change_whose_reply_was_lost_may_be_made_again(sandbox, run_task):
    link = VisionoHook().create_permanent_link("The van")
    update = VisionoUpdatePermanentLinkOperator(
        task_id="u", link_id=link["id"], changes={"instructions": "The car"}
    )
    sandbox.fault("visiono", "drop_after", method="PATCH", times=1)
    task = run_task(update)
    with pytest.raises(ConnectionFailedError, match="a retry sets the same values once more"):
        task.run()
    assert run_task(update, task).run()["id"] == link["id"]
    assert made()[0]["instructions"] == "The car"


def test_what_is_no_choice_fails_when_the_dag_is_parsed():
    with pytest.raises(InvalidRequestError, match="on_existing"):
        make(on_existing="keep")


@needs_store
def test_in_the_plugin_s_dialect_all_holds_too(sandbox, run_task, connection):
    sandbox.settings(dialect="plugin")
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, dialect="plugin")
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    task = run_task(make())
    link = task.run()
    task = run_task(make(instructions="The car"), task, cleared=True)
    assert task.run()["id"] == link["id"]
    assert [listed["instructions"] for listed in made()] == ["The car"]
    delete = VisionoDeletePermanentLinkOperator(task_id="d", link_id=link)
    assert run_task(delete).run() == {"id": link["id"], "deleted": True}
    # There it is archived, and can still be read; but it is no link that works.
    assert run_task(make(instructions="The car"), task, cleared=True).run()["id"] != link["id"]
