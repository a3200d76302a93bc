"""Whether a wait is over: one decision for every mode."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from airflow_provider_visio.api.vizdom import ExportContract
from airflow_provider_visio.exceptions import (
    ExportFailedError,
    PhotoRequestFailedError,
    UnexpectedReplyError,
    WaitTimeoutError,
)
from airflow_provider_visio.waiting import (
    EXPIRY_GRACE,
    Verdict,
    decide_exports,
    decide_photo_requests,
    epoch,
    error_of_exports,
    error_of_photo_requests,
    export_phase,
    growing,
    jittered,
    normal,
    photo_request_phase,
)

# 2026-01-01T00:00:00Z
NOW = 1767225600.0


def at(offset):
    return dt.datetime.fromtimestamp(NOW + offset, dt.UTC).isoformat()


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("pending", "open"),
        ("in_progress", "open"),
        ("submitted", "arrived"),
        ("completed", "arrived"),
        ("complete", "arrived"),
        ("expired", "expired"),
        ("cancelled", "cancelled"),
        ("canceled", "cancelled"),
        ("deleted", "deleted"),
        ("refused", "refused"),
        ("SUBMITTED", "arrived"),
        (" Submitted ", "arrived"),
        ("In-Progress", "open"),
        ("IN PROGRESS", "open"),
        ("in-progress", "open"),
        ("", "open"),
        (None, "open"),
        ("reviewing", None),
        (5, None),
        (["submitted"], None),
    ],
)
def test_a_photo_request_s_status_means(word, phase):
    assert photo_request_phase({"status": word}, now=NOW) == phase


def test_a_request_that_was_not_asked_for_yet_is_open():
    assert photo_request_phase({}, now=NOW) == "open"


@pytest.mark.parametrize(
    ("word", "ago", "phase"),
    [
        ("pending", EXPIRY_GRACE + 1, "expired"),
        ("in_progress", EXPIRY_GRACE + 1, "expired"),
        ("lapsed", EXPIRY_GRACE + 1, "expired"),
        (None, EXPIRY_GRACE + 1, "expired"),
        ("pending", EXPIRY_GRACE, "open"),
        ("pending", 0, "open"),
        ("pending", -3600, "open"),
        ("lapsed", 0, None),
        ("submitted", 86400, "arrived"),
        ("cancelled", 86400, "cancelled"),
    ],
)
def test_a_request_long_past_its_own_expiry_has_expired_whatever_it_is_called(word, ago, phase):
    assert photo_request_phase({"status": word, "expires_at": at(-ago)}, now=NOW) == phase


@pytest.mark.parametrize("expiry", [None, "", "soon", 5, "2020-01-01T00:00:00"])
def test_an_expiry_that_cannot_be_read_ends_nothing(expiry):
    assert photo_request_phase({"status": "pending", "expires_at": expiry}, now=NOW) == "open"


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("pending", "open"),
        ("processing", "open"),
        ("completed", "arrived"),
        ("Completed", "arrived"),
        ("failed", "failed"),
        ("FAILED", "failed"),
        ("deleted", "deleted"),
        ("refused", "refused"),
        ("", "open"),
        (None, "open"),
        ("succeeded", None),
    ],
)
def test_an_export_s_status_means(word, phase):
    assert export_phase({"status": word}, ExportContract()) == phase


def test_an_export_s_words_are_the_contract_s():
    words = ExportContract(
        done_words=("Ready Now",), failed_words=("broken", "deleted"), open_words=("in-queue",)
    )
    phases = [
        export_phase({"status": word}, words)
        for word in ("ready_now", "BROKEN", "in queue", "completed", "deleted")
    ]
    assert phases == ["arrived", "failed", "open", None, "failed"]


def outcome(states, *, deadline=None, ids=None):
    return decide_photo_requests(ids or list(states), states, now=NOW, deadline=deadline)


PENDING, SUBMITTED, CANCELLED, ODD = (
    {"status": word} for word in ("pending", "submitted", "cancelled", "reviewing")
)


@pytest.mark.parametrize(
    ("states", "deadline", "expected"),
    [
        ({"a": PENDING}, None, "wait"),
        ({"a": SUBMITTED}, None, "done"),
        ({"a": SUBMITTED, "b": SUBMITTED}, None, "done"),
        ({"a": SUBMITTED, "b": PENDING}, None, "wait"),
        ({"a": SUBMITTED, "b": ODD}, None, "wait"),
        ({"a": SUBMITTED, "b": {}}, None, "wait"),
        ({"a": SUBMITTED, "b": CANCELLED}, None, "failed"),
        ({"a": PENDING, "b": CANCELLED}, None, "failed"),
        ({"a": PENDING}, NOW + 0.001, "wait"),
        ({"a": PENDING}, NOW, "timeout"),
        ({"a": PENDING}, NOW - 1, "timeout"),
        ({"a": ODD}, NOW, "timeout"),
        ({"a": SUBMITTED}, NOW, "done"),
        ({"a": SUBMITTED}, NOW - 3600, "done"),
        ({"a": CANCELLED}, NOW - 3600, "failed"),
        ({"a": SUBMITTED, "b": PENDING}, NOW, "timeout"),
        ({"a": CANCELLED, "b": PENDING}, NOW, "failed"),
    ],
)
def test_a_wait_for_photo_requests_goes_on_or_ends(states, deadline, expected):
    assert outcome(states, deadline=deadline).outcome == expected


def test_a_verdict_says_what_became_of_each_id():
    states = {"a": SUBMITTED, "b": CANCELLED, "c": PENDING, "d": ODD}
    assert outcome(states, ids=["d", "a", "b", "c", "e"]) == Verdict(
        "failed", ("a",), {"b": "cancelled"}, ("d", "c", "e"), {"d": "reviewing"}
    )


def test_what_nobody_waits_for_does_not_count():
    assert outcome({"a": SUBMITTED, "b": CANCELLED}, ids=["a"]).outcome == "done"


@pytest.mark.parametrize(
    ("states", "deadline", "expected"),
    [
        ({"a": {"status": "processing"}}, None, "wait"),
        ({"a": {"status": "completed"}}, NOW, "done"),
        ({"a": {"status": "completed"}, "b": {"status": "failed"}}, None, "failed"),
        ({"a": {"status": "rendering"}}, None, "wait"),
        ({"a": {"status": "rendering"}}, NOW, "timeout"),
        ({}, None, "wait"),
    ],
)
def test_a_wait_for_exports_goes_on_or_ends(states, deadline, expected):
    verdict = decide_exports(list(states) or ["a"], states, ExportContract(), now=NOW, deadline=deadline)
    assert verdict.outcome == expected


VERDICTS = [
    Verdict("done", ("a", "b")),
    Verdict("failed", ("a",), {"b": "expired"}, ("c",), {"c": "reviewing"}),
    Verdict("timeout", waiting=("a",)),
    Verdict("trouble", waiting=("a",), trouble="Visiono answered 503"),
]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict.outcome)
def test_a_verdict_survives_as_an_event(verdict):
    assert Verdict.from_event(json.loads(json.dumps(verdict.as_event()))) == verdict


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        [],
        "done",
        True,
        {"outcome": None},
        {"outcome": "wait"},
        {"outcome": "Done"},
        {"outcome": ["done"]},
        {"status": "success"},
        {"outcome": "done"},
        {"outcome": "done", "arrived": []},
        {"outcome": "done", "arrived": "req_1"},
        {"outcome": "done", "arrived": 5},
        {"outcome": "done", "arrived": [None]},
        {"outcome": "done", "arrived": ["a"], "waiting": ["b"]},
        {"outcome": "done", "arrived": ["a"], "ended": {"b": "expired"}},
        {"outcome": "failed", "ended": ["a"]},
        {"outcome": "failed", "ended": "a"},
        {"outcome": "timeout", "waiting": 5},
    ],
    ids=str,
)
def test_an_event_that_is_not_ours_never_passes_as_done(event):
    with pytest.raises(UnexpectedReplyError, match="clear the task to wait again"):
        Verdict.from_event(event)


@pytest.mark.parametrize(
    ("phase", "happened", "todo"),
    [
        ("expired", "expired before the photos were submitted", "more expires_in_hours"),
        ("cancelled", "was cancelled at Visiono", "clear the task that made it"),
        ("deleted", "was deleted at Visiono", "check the id"),
        ("refused", "may not be read with this connection's key", "check the key's scopes"),
    ],
)
def test_a_request_that_ended_says_which_what_and_what_to_do(phase, happened, todo):
    error = error_of_photo_requests(Verdict("failed", ended={"req_7": phase}), "my_visiono")
    assert type(error) is PhotoRequestFailedError
    assert error.conn_id == "my_visiono"
    for part in ("req_7", happened, todo, "connection my_visiono"):
        assert part in str(error)


def test_the_others_of_a_wait_are_counted():
    verdict = Verdict("failed", ("a", "b"), {"c": "expired", "d": "cancelled"}, ("e",))
    text = str(error_of_photo_requests(verdict, "my_visiono"))
    assert "Photo request c expired" in text
    assert "Photo request d was cancelled" in text
    assert "2 arrived, 1 still open" in text


def test_a_deadline_says_which_and_that_nothing_was_cancelled():
    error = error_of_photo_requests(
        Verdict("timeout", ("z",), waiting=("a", "b"), unknown={"b": "reviewing"}), "my_visiono"
    )
    assert type(error) is WaitTimeoutError
    assert error.waiting == ["a", "b"]
    for part in (
        "a, b",
        "Nothing was cancelled",
        "the link still works",
        "raise its timeout",
        "reviewing",
        "1 arrived",
    ):
        assert part in str(error)


def test_a_long_list_of_ids_is_cut():
    error = error_of_photo_requests(Verdict("timeout", waiting=tuple(f"req_{n}" for n in range(500))), "c")
    assert "req_4 and 495 more" in str(error)
    assert len(str(error)) < 600
    assert len(error.waiting) == 500


def test_a_long_list_of_ended_ids_is_cut():
    ended = {f"req_{n}": "expired" for n in range(500)}
    assert len(str(error_of_photo_requests(Verdict("failed", ended=ended), "c"))) < 3000


@pytest.mark.parametrize("outcome", ["wait", "done"])
def test_no_error_where_a_wait_goes_on_or_ends_well(outcome):
    assert error_of_photo_requests(Verdict(outcome), "c") is None
    assert error_of_exports(Verdict(outcome), "c") is None


@pytest.mark.parametrize(
    ("phase", "happened"),
    [("failed", "failed at Vizdom"), ("deleted", "is unknown to Vizdom"), ("refused", "may not be read")],
)
def test_an_export_that_ended_says_which_what_why_and_what_to_do(phase, happened):
    error = error_of_exports(
        Verdict("failed", ended={"exp_7": phase}), "my_vizdom", {"exp_7": "A data source did not answer"}
    )
    assert type(error) is ExportFailedError
    for part in ("exp_7", happened, "A data source did not answer", "export again", "connection my_vizdom"):
        assert part in str(error)


def test_an_export_s_deadline_says_that_it_goes_on():
    error = error_of_exports(
        Verdict("timeout", waiting=("exp_7",), unknown={"exp_7": "rendering"}), "my_vizdom"
    )
    assert type(error) is WaitTimeoutError
    assert error.waiting == ["exp_7"]
    for part in ("exp_7", "goes on at Vizdom", "raise its timeout", "rendering"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (" In Progress ", "in_progress"),
        ("in-progress", "in_progress"),
        (None, ""),
        ("", ""),
        (0, ""),
        (5, "5"),
    ],
)
def test_a_word_is_compared_without_case_and_separators(word, expected):
    assert normal(word) == expected


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2026-01-01T00:00:00Z", NOW),
        ("2026-01-01T00:00:00+00:00", NOW),
        (" 2026-01-01T01:00:00+01:00 ", NOW),
        ("2026-01-01T00:00:00.500Z", NOW + 0.5),
        ("2026-01-01T00:00:00.123456789Z", NOW + 0.123456),
        ("2026-01-01 00:00:00Z", NOW),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), NOW),
        ("2026-01-01T00:00:00", None),
        ("2026-01-01", None),
        (dt.datetime(2026, 1, 1), None),  # noqa: DTZ001
        ("tomorrow", None),
        ("", None),
        (None, None),
        (NOW, None),
        (True, None),
    ],
)
def test_a_time_is_seconds_since_1970(moment, seconds):
    assert epoch(moment) == pytest.approx(seconds)


def test_polls_of_an_export_grow_apart_up_to_half_a_minute():
    intervals = [growing(2.0, n) for n in range(12)]
    assert intervals[:3] == [2.0, 3.0, 4.5]
    assert intervals == sorted(intervals)
    assert intervals[-1] == 30.0
    assert growing(2.0, 10**6) == 30.0


def test_an_interval_asked_for_is_never_shortened():
    assert growing(60.0, 0) == 60.0
    assert growing(60.0, 9) == 60.0


@pytest.mark.parametrize(("draw", "interval"), [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)])
def test_polls_spread_by_a_tenth(draw, interval):
    assert jittered(10.0, draw) == pytest.approx(interval)
