"""What an operator's arguments mean, and what is known of them when a DAG file is parsed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from airflow_provider_visio.arguments import (
    check_if_known,
    holds_output,
    id_of,
    ids_of,
    is_literal,
    is_many,
    require,
    seconds,
)
from airflow_provider_visio.exceptions import InvalidRequestError


class Output:
    """Stands for the output of another task, which Airflow resolves later."""

    def resolve(self, context):
        return None

    def __repr__(self):
        return "Output()"


MADE = {"id": "req_1", "status": "pending", "request_url": "https://visio.now/p/x"}


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("req_1", ["req_1"]),
        (" req_1\n", ["req_1"]),
        (MADE, ["req_1"]),
        (["req_1", "req_2"], ["req_1", "req_2"]),
        (("req_1", "req_2"), ["req_1", "req_2"]),
        ([MADE, {"id": "req_2"}], ["req_1", "req_2"]),
        ([[MADE], [{"id": "req_2"}, "req_3"]], ["req_1", "req_2", "req_3"]),
        (["req_1", "req_1", MADE], ["req_1"]),
        ({"arrived": ["req_1", "req_2"]}, ["req_1", "req_2"]),
        ([{"arrived": ["req_1"]}, {"arrived": ["req_2"]}], ["req_1", "req_2"]),
        ((i for i in ["req_1", "req_2"]), ["req_1", "req_2"]),
        ({"id": "req_1", "arrived": ["req_2"]}, ["req_1"]),
        ([{"ids": []}, {"ids": ["req_1"]}], ["req_1"]),
        ([[], ["req_1"]], ["req_1"]),
        (4711, ["4711"]),
        ([{"id": 4711}, 4712.0, Decimal(4713)], ["4711", "4712", "4713"]),
    ],
)
def test_ids_are_found_in_what_is_passed_on(value, ids):
    assert ids_of(value, "request_id") == ids


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", [], [[]], (), {}, [""], [None], ["req_1", ""], ["req_1", None], {"id": ""}, {"id": None},
     {"status": "x"}, 5.5, float("inf"), True, b"req_1", [5.5], Output(), dt.timedelta(1)],
    ids=repr,
)  # fmt: skip
def test_what_holds_no_id_is_refused_with_what_to_give(value):
    with pytest.raises(
        InvalidRequestError, match="holds no id; give an id, the output of the task"
    ) as caught:
        ids_of(value, "request_id")
    assert list(caught.value.fields) == ["request_id"]


@pytest.mark.parametrize("value", [{"arrived": []}, [{"arrived": []}]], ids=repr)
def test_a_wait_that_went_on_with_nothing_is_refused_in_these_words(value):
    with pytest.raises(InvalidRequestError, match="nothing has arrived") as caught:
        ids_of(value, "request_id")
    assert list(caught.value.fields) == ["request_id"]


@pytest.mark.parametrize("value", [{"ids": []}, [{"ids": []}, {"ids": []}]], ids=repr)
def test_a_batch_that_made_nothing_is_refused_in_these_words(value):
    with pytest.raises(InvalidRequestError, match="created no request") as caught:
        ids_of(value, "request_id")
    assert list(caught.value.fields) == ["request_id"]


@pytest.mark.parametrize("value", [{"ids": []}, [{"ids": []}], ({"ids": []}, [{"ids": []}])], ids=repr)
def test_a_batch_that_made_nothing_is_told_from_what_holds_no_id(value):
    assert holds_output(value, "ids")
    assert ids_of(value, "request_id", may_be_empty=True) == []


@pytest.mark.parametrize("value", [[], (), [[]], [{"ids": []}, []], {"arrived": []}, {}, None, "a"], ids=repr)
def test_an_empty_list_alone_does_not_show_that_it_is_a_batch_s(value):
    assert not holds_output(value, "ids")


@pytest.mark.parametrize("value", [None, "", b"", 5.5, {}, [None], [""], {"id": ""}, {"ids": None}], ids=repr)
def test_what_is_wrong_is_not_empty(value):
    with pytest.raises(InvalidRequestError, match="holds no id"):
        ids_of(value, "request_id", may_be_empty=True)


def test_a_long_value_is_cut_in_the_error():
    with pytest.raises(InvalidRequestError) as caught:
        ids_of({"x": "y" * 10_000}, "request_id")
    assert len(str(caught.value)) < 300


def test_the_error_of_a_mapped_list_shows_the_part_without_an_id():
    with pytest.raises(InvalidRequestError, match="None holds no id"):
        ids_of([MADE, None], "request_id")


@pytest.mark.parametrize(
    "value",
    [
        "link_1",
        {"id": "link_1"},
        [{"id": "link_1"}],
        ["link_1", {"id": "link_1"}],
        {"id": "pls_1", "link_id": "link_1"},
        {"id": "pls_1", "link_id": ["link_1"]},
    ],
    ids=repr,
)
def test_the_one_that_is_meant_is_found_in_what_is_passed_on(value):
    assert id_of(value, "link_id") == "link_1"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (["a", "b"], "give one, not 2; map the task over several"),
        ({"ids": ["a", "b", "c"]}, "give one, not 3"),
        ({"link_id": ["a", "b"]}, "give one, not 2"),
        ({"link_id": None, "id": "a"}, "holds no id"),
        ("a/b", "is not an id"),
        ([], "holds no id"),
    ],
    ids=repr,
)
def test_what_may_be_several_or_none_is_refused_where_one_is_meant(value, why):
    with pytest.raises(InvalidRequestError, match=why) as caught:
        id_of(value, "link_id")
    assert list(caught.value.fields) == ["link_id"]


@pytest.mark.parametrize(
    ("value", "many"),
    [("req_1", False), (MADE, False), (["req_1"], True), ([MADE], True), ({"arrived": ["req_1"]}, True)],
)
def test_a_list_stays_a_list(value, many):
    assert is_many(value) is many


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (5, 5.0),
        (0.5, 0.5),
        (dt.timedelta(minutes=2), 120.0),
        (dt.timedelta(microseconds=1), 1e-6),
    ],
)
def test_a_duration_is_seconds_or_a_timedelta(value, expected):
    assert seconds(value, "timeout") == expected


@pytest.mark.parametrize(
    "value", [0, -1, dt.timedelta(0), dt.timedelta(-1), True, "5", "", [], float("nan"), {"a": 1}], ids=repr
)
def test_a_duration_that_is_none_is_refused(value):
    with pytest.raises(InvalidRequestError, match="give seconds or a timedelta above zero") as caught:
        seconds(value, "timeout")
    assert list(caught.value.fields) == ["timeout"]


def test_a_duration_without_end_is_refused():
    with pytest.raises(InvalidRequestError):
        seconds(float("inf"), "timeout")


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, True),
        ("text", True),
        ("{ not a template }", True),
        ("{{ ds }}", False),
        ("{% if x %}", False),
        (5, True),
        (b"x", True),
        (dt.timedelta(1), True),
        ({"a": ["x", {"b": 5}]}, True),
        ({"a": ["x", {"b": "{{ ds }}"}]}, False),
        ([Output()], False),
        ({"a": Output()}, False),
        (Output(), False),
        ({"x"}, True),
    ],
    ids=repr,
)
def test_a_template_or_another_task_s_output_is_not_known_yet(value, literal):
    assert is_literal(value) is literal


def test_a_check_sees_only_what_is_known():
    seen = {}
    check_if_known(lambda **known: seen.update(known), a="x", b="{{ ds }}", c=None, d=Output(), e=[])
    assert seen == {"a": "x", "e": []}


def test_a_check_of_nothing_known_is_not_made():
    check_if_known(lambda **known: pytest.fail("called"), a="{{ ds }}", b=None)


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, ()], ids=repr)
def test_a_missing_argument_is_refused(value):
    with pytest.raises(InvalidRequestError, match="request_id: it is empty"):
        require(value, "request_id")


@pytest.mark.parametrize("value", ["x", "{{ ds }}", 0, False, ["x"], Output()], ids=repr)
def test_a_given_argument_passes(value):
    require(value, "request_id")
