"""What a task does first, and what becomes of what it finds: pure decisions, as tables."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.idempotency.on_existing import check_on_existing
from airflow_provider_visio.idempotency.record import (
    Intent,
    Record,
    clear_count,
    existing_step,
    first_step,
    is_first_try,
)

RECORD = Record(Intent("task", "input"), asked_at=1000.0, wait_from=2000.0, run=2, ask="mark")
ENDS = ["expired", "cancelled", "deleted", "failed", "refused"]


def context(*, retries: int = 2, **ti: Any) -> dict[str, Any]:
    told = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "max_tries": 2}
    return {"ti": SimpleNamespace(**{**told, **ti}), "task": SimpleNamespace(retries=retries)}


@pytest.mark.parametrize(
    ("record", "tried_before", "step"),
    [
        (None, False, "ask"),
        (RECORD, False, "look up"),
        (RECORD, True, "look up"),
        (replace(RECORD, sent=False), True, "ask"),
        (replace(RECORD, id="req_1"), False, "look at"),
        (replace(RECORD, id="req_1", sent=False, over=True), True, "look at"),
    ],
)
@pytest.mark.parametrize("has_store", [True, False])
def test_what_a_try_does_first(record, tried_before, step, has_store):
    assert first_step(record, tried_before=tried_before, has_store=has_store) == step


def test_without_a_record_only_an_airflow_without_a_store_looks_up():
    assert first_step(None, tried_before=True, has_store=True) == "ask"
    assert first_step(None, tried_before=True, has_store=False) == "look up"


@pytest.mark.parametrize("on_existing", ["reuse", "replace", "fail"])
@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize("phase", [None, "open", "arrived"])
def test_a_retry_takes_what_it_finds(phase, over, on_existing):
    assert existing_step(phase, on_existing, cleared=False, over=over, final=()) == "reuse"


@pytest.mark.parametrize("on_existing", ["reuse", "replace", "fail"])
@pytest.mark.parametrize("phase", ENDS)
def test_a_retry_lives_with_an_end_that_is_final(phase, on_existing):
    assert existing_step(phase, on_existing, cleared=False, over=False, final={phase}) == "reuse"
    assert existing_step(phase, on_existing, cleared=False, over=False, final=()) == "ask"


@pytest.mark.parametrize("on_existing", ["reuse", "replace", "fail"])
@pytest.mark.parametrize(
    ("phase", "over", "step"),
    [
        (None, False, "as said"),
        ("open", False, "as said"),
        ("open", True, "as said"),
        ("arrived", True, "ask"),
        ("arrived", False, "reuse"),
        *[(phase, over, "ask") for phase in ENDS for over in (True, False)],
    ],
)
def test_what_clearing_means(phase, over, step, on_existing):
    step = on_existing if step == "as said" else step
    assert existing_step(phase, on_existing, cleared=True, over=over, final=ENDS) == step


@pytest.mark.parametrize(
    ("phase", "over", "on_existing", "step"),
    [
        ("open", False, "reuse", "fail"),
        ("open", True, "fail", "fail"),
        ("open", False, "replace", "replace"),
        (None, False, "reuse", "fail"),
        ("arrived", False, "reuse", "fail"),
        ("arrived", False, "fail", "fail"),
        ("arrived", False, "replace", "ask"),
        ("arrived", True, "reuse", "ask"),
        *((phase, False, how, "fail") for phase in ENDS for how in ("reuse", "fail")),
        *((phase, False, "replace", "ask") for phase in ENDS),
        ("expired", True, "reuse", "ask"),
    ],
)
def test_what_may_be_somebody_else_s_is_not_taken_up(phase, over, on_existing, step):
    assert existing_step(phase, on_existing, cleared=True, over=over, final=ENDS, foreign=True) == step
    retry = existing_step(phase, on_existing, cleared=False, over=over, final=ENDS, foreign=True)
    assert retry == ("reuse" if phase in ENDS else "fail")


@pytest.mark.parametrize("cleared", [True, False])
def test_an_end_that_bothers_nobody_keeps_nobody_from_asking_anew(cleared):
    assert existing_step("failed", "reuse", cleared=cleared, over=False, final=(), foreign=True) == "ask"


@pytest.mark.parametrize(
    ("phase", "foreign", "step"),
    [
        ("deleted", False, "ask"),
        ("deleted", True, "fail"),
        ("open", False, "reuse"),
        ("arrived", False, "reuse"),
        ("open", True, "fail"),
    ],
)
def test_a_retry_asks_anew_for_what_its_own_task_took_back(phase, foreign, step):
    how = {"cleared": False, "over": False, "final": ENDS, "foreign": foreign}
    assert existing_step(phase, "reuse", **how, taken_back=True) == step


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "first"),
    [
        (1, 2, 2, True),
        (2, 2, 2, False),
        (3, 2, 2, False),
        (2, 3, 2, True),  # cleared after the first try
        (3, 3, 2, False),
        (4, 5, 2, True),  # cleared after all three
        (1, 0, 0, True),
        (2, 1, 0, True),
        (2, None, 2, False),  # nobody can tell
        (None, None, 2, True),
    ],
)
def test_the_first_try_since_a_clear(try_number, max_tries, retries, first):
    assert is_first_try(context(try_number=try_number, max_tries=max_tries, retries=retries)) is first


def test_retries_are_one_run_and_a_clear_is_another():
    assert clear_count(context(try_number=1)) == clear_count(context(try_number=3))
    assert clear_count(context(max_tries=2)) != clear_count(context(max_tries=5))


@pytest.mark.parametrize("other", [{"dag_id": "e"}, {"run_id": "s"}, {"task_id": "u"}, {"map_index": 0}])
def test_each_task_instance_has_an_intent_of_its_own(other):
    assert Intent.of(context(), {}).task != Intent.of(context(**other), {}).task


def test_the_number_of_a_try_is_no_part_of_its_intent():
    assert Intent.of(context(try_number=1), {"a": 1}) == Intent.of(
        context(try_number=7, max_tries=9), {"a": 1}
    )


@pytest.mark.parametrize("asked", [{"a": 2}, {"a": "1"}, {"b": 1}, {"a": 1, "b": 2}, {"a": [1]}, {}])
def test_another_input_has_another_fingerprint(asked):
    assert Intent.of(context(), asked).input != Intent.of(context(), {"a": 1}).input


def test_a_field_that_is_left_out_is_no_part_of_the_input():
    assert Intent.of(context(), {"a": 1, "b": None}) == Intent.of(context(), {"a": 1})


def test_the_order_of_fields_is_no_part_of_the_input():
    assert Intent.of(context(), {"a": 1, "b": {"c": 2, "d": 3}}) == Intent.of(
        context(), {"b": {"d": 3, "c": 2}, "a": 1}
    )


@pytest.mark.parametrize(
    ("metadata", "same"),
    [
        ({1: "a", "b": "c"}, {"b": "c", 1: "a"}),
        ({None: 1, True: 2, 1.5: 3, "x": 4}, {"x": 4, 1.5: 3, True: 2, None: 1}),
        ({"deep": [{2: "a", "1": "b"}]}, {"deep": [{"1": "b", 2: "a"}]}),
    ],
    ids=str,
)
def test_keys_of_several_kinds_have_a_fingerprint(metadata, same):
    assert Intent.of(context(), metadata) == Intent.of(context(), same)
    assert Intent.of(context(), metadata).input != Intent.of(context(), {**metadata, "more": 1}).input


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, id="req_1", over=True),
        replace(RECORD, sent=False),
        replace(RECORD, taken_back=True),
    ],
)
def test_a_record_survives_its_way_through_json(record):
    assert Record.from_json(record.as_json()) == record


def test_each_request_has_a_mark_of_its_own():
    one, other = (Record(Intent("task", "input"), 1.0, 1.0) for _ in range(2))
    assert one.mark != other.mark
    assert one.mark.items() <= one.tag.items()


@pytest.mark.parametrize(
    "value",
    [
        None, "", 7, [], {}, {"intent": None}, {"intent": {}},
        {**RECORD.as_json(), "intent": {"task": 1, "input": "b"}},
        {**RECORD.as_json(), "ask": ""},
        *({**RECORD.as_json(), name: when}
          for name in ("asked_at", "wait_from")
          for when in (None, "1", True, 0, -1, float("nan"), float("inf"), 1e300, 10**400)),
    ],
)  # fmt: skip
def test_what_is_no_record_is_none(value):
    assert Record.from_json(value) is None


@pytest.mark.parametrize("value", ["", "Reuse", None, True, ["reuse"]])
def test_what_to_do_with_an_existing_one_is_one_of_three(value):
    with pytest.raises(InvalidRequestError, match="give 'reuse', 'replace' or 'fail'"):
        check_on_existing(value)
