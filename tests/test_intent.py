"""What a task means to ask for is known again, whatever it is made of, and a record only where it is one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_visio.intent import Intent, Record

RECORD = {"intent": {"task": "a", "input": "b"}, "asked_at": 1767225600.0}


def intent(**asked):
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    return Intent.of({"ti": ti}, asked)


@pytest.mark.parametrize(
    ("metadata", "same"),
    [
        ({1: "a", "b": "c"}, {"b": "c", 1: "a"}),
        ({None: 1, True: 2, 1.5: 3, "x": 4}, {"x": 4, 1.5: 3, True: 2, None: 1}),
        ({"deep": [{2: "a", "1": "b"}]}, {"deep": [{"1": "b", 2: "a"}]}),
    ],
    ids=str,
)
def test_metadata_with_keys_of_several_kinds_has_a_fingerprint(metadata, same):
    assert intent(metadata=metadata) == intent(metadata=same)
    assert intent(metadata=metadata).input != intent(metadata={**metadata, "more": 1}).input


def test_a_key_that_json_cannot_carry_is_left_to_the_check_of_the_call():
    assert intent(metadata={(1, 2): "a", "b": "c"}).input


@pytest.mark.parametrize(
    "asked_at",
    [10**400, -(10**400), float("nan"), float("inf"), 1e300, 1e11, -1.0, None, "2026"],
    ids=lambda value: str(value)[:9],
)
def test_a_record_of_no_time_is_none(asked_at):
    assert Record.from_json({**RECORD, "asked_at": asked_at}) is None


@pytest.mark.parametrize("asked_at", [0, 1767225600, 1767225600.5])
def test_a_record_is_read_as_it_was_written(asked_at):
    found = Record.from_json({**RECORD, "asked_at": asked_at})
    assert found == Record(Intent("a", "b"), float(asked_at))
    assert Record.from_json(found.as_json()) == found
