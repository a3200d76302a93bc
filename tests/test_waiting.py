"""Whether a wait is over: one decision for every mode."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import (
    ExportFailedError,
    InvalidRequestError,
    PhotoRequestFailedError,
    UnexpectedReplyError,
    WaitTimeoutError,
)
from airflow_provider_visio.waiting import (
    ALL,
    EXPIRY_GRACE,
    NO_WORD,
    WITHHELD,
    Goal,
    Verdict,
    decide_exports,
    decide_photo_requests,
    ends_by_itself,
    epoch,
    error_of_exports,
    error_of_photo_requests,
    export_phase,
    growing,
    jittered,
    normalize_status,
    photo_request_phase,
    stretched,
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
        ("refused", None),  # by the recipient, perhaps
        (WITHHELD, "refused"),
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
        ("lapsed", EXPIRY_GRACE + 1, None),
        ("under_review", 86400, None),
        (None, EXPIRY_GRACE + 1, "expired"),
        ("pending", EXPIRY_GRACE, "open"),
        ("pending", 0, "open"),
        ("pending", -3600, "open"),
        ("lapsed", 0, None),
        ("submitted", 86400, "arrived"),
        ("cancelled", 86400, "cancelled"),
    ],
)
def test_an_open_request_long_past_its_own_expiry_has_expired(word, ago, phase):
    assert photo_request_phase({"status": word, "expires_at": at(-ago)}, now=NOW) == phase


def test_an_unknown_status_keeps_waiting_past_the_expiry_and_is_reported():
    states = {"req_1": {"status": "under_review", "expires_at": at(-86400)}}
    verdict = decide_photo_requests(["req_1"], states, now=NOW, deadline=None)
    assert (verdict.outcome, verdict.waiting, verdict.unknown) == (
        "wait",
        ("req_1",),
        {"req_1": "under_review"},
    )
    late = decide_photo_requests(["req_1"], states, now=NOW, deadline=NOW)
    assert late.outcome == "timeout"
    assert "under_review" in str(error_of_photo_requests(late, "c"))


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("pending", NOW + EXPIRY_GRACE + 1),
        (None, NOW + EXPIRY_GRACE + 1),
        ("under_review", None),
        (WITHHELD, NOW + EXPIRY_GRACE + 1),
    ],
)
def test_only_a_known_status_expires_by_itself(word, ends):
    assert ends_by_itself({"status": word, "expires_at": at(0)}) == ends


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
        ("refused", None),  # by the recipient, perhaps
        (WITHHELD, "refused"),
        ("", "open"),
        (None, "open"),
        ("succeeded", None),
    ],
)
def test_an_export_s_status_means(word, phase):
    assert export_phase({"status": word}, VizdomContract()) == phase


def test_an_export_s_words_are_the_contract_s():
    words = VizdomContract(
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


@pytest.mark.parametrize(
    ("word", "as_told"),
    [
        ("reviewing", "reviewing"),
        (" In Review-2 ", "In Review-2"),
        ("vsk_live_marker_1f9c", NO_WORD),
        ("https://storage.test/x?sig=1", NO_WORD),
        ("mary@example.com", NO_WORD),
        ("cut \ud83d", NO_WORD),
        ("two\nlines", NO_WORD),
        ("x" * 41, NO_WORD),
        (["reviewing"], NO_WORD),
        (5, NO_WORD),
    ],
    ids=str,
)
def test_of_a_status_we_do_not_know_only_what_looks_like_a_word_is_told(word, as_told):
    verdict = outcome({"a": {"status": word}}, deadline=NOW)
    assert verdict.unknown == {"a": as_told}
    assert f"unknown to this provider: {as_told})" in str(error_of_photo_requests(verdict, "my_visiono"))
    told_by_event = Verdict.from_event({"outcome": "timeout", "waiting": ["a"], "unknown": {"a": str(word)}})
    assert told_by_event.unknown == {"a": as_told}


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
    verdict = decide_exports(list(states) or ["a"], states, VizdomContract(), now=NOW, deadline=deadline)
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
        {"outcome": "failed", "ended": {"a": []}},
        {"outcome": "failed", "ended": {"a": None}},
        {"outcome": "failed", "ended": {"a": "arrived"}},
        {"outcome": "failed", "ended": {"a": "vanished"}},
        {"outcome": "timeout", "waiting": ["a"], "unknown": {"a": None}},
        {"outcome": "timeout", "waiting": ["a"], "unknown": {"a": ["x"]}},
        {"outcome": "trouble", "waiting": ["a"], "trouble": {"text": "x"}},
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
        ("cancelled", "was cancelled at Visiono", "clear the task that created it"),
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
        "clear the task to wait as long once more",
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


@pytest.mark.parametrize(
    ("phase", "what"),
    [
        ("failed", "A retry of this task exports again"),
        ("deleted", "A retry of this task exports again"),
        ("refused", "run the task again to go on waiting for it"),
    ],
)
def test_to_who_started_it_an_export_that_ended_says_what_a_retry_does(phase, what):
    text = str(error_of_exports(Verdict("failed", ended={"exp_7": phase}), "my_vizdom", starts=True))
    assert what in text
    assert "Clear the task that started it" not in text


def test_an_export_s_deadline_says_that_it_goes_on():
    error = error_of_exports(
        Verdict("timeout", waiting=("exp_7",), unknown={"exp_7": "rendering"}), "my_vizdom"
    )
    assert type(error) is WaitTimeoutError
    assert error.waiting == ["exp_7"]
    for part in ("exp_7", "goes on at Vizdom", "clear the task to wait as long once more", "rendering"):
        assert part in str(error)


def test_to_who_started_it_an_export_s_deadline_says_that_a_retry_exports_again():
    text = str(error_of_exports(Verdict("timeout", waiting=("exp_7",)), "my_vizdom", starts=True))
    assert (
        "goes on at Vizdom. A retry of this task exports again, as clearing it does; set a longer timeout"
        in text
    )
    assert "no more time" not in text


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
    assert normalize_status(word) == expected


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


@pytest.mark.parametrize(
    ("minimum", "count", "needed"),
    [
        (None, 50, None),
        (None, None, None),
        (1, 50, 1),
        (50, 50, 50),
        (40, None, 40),
        (0.8, 50, 40),
        (0.8, 1, 1),
        (1.0, 50, 50),
        (0.001, 50, 1),
        (1e-7, 5, 1),
        (0.81, 50, 41),
        (0.5, 3, 2),
        # Which a float makes a little more than 7, 29 and 57.
        (0.07, 100, 7),
        (0.29, 100, 29),
        (0.57, 100, 57),
        (0.8, None, None),
    ],
)
def test_a_goal_is_a_number_or_a_share(minimum, count, needed):
    for on_deadline, proceed in (("fail", False), ("proceed", True)):
        assert Goal.of(minimum, on_deadline, count) == Goal(needed, proceed)


@pytest.mark.parametrize(
    ("minimum", "count"),
    [
        (51, 50),
        (2, 1),
        (0, 50),
        (-1, 50),
        (0.0, 50),
        (-0.5, 50),
        (1.5, 50),
        (80.0, 100),
        (float("nan"), 50),
        (float("inf"), 50),
        (True, 50),
        (False, 50),
        ("80%", 50),
        ("40", 50),
        ([40], 50),
        (0, None),
        (2.0, None),
    ],
    ids=str,
)
def test_a_goal_that_can_never_be_met_is_refused(minimum, count):
    with pytest.raises(InvalidRequestError) as caught:
        Goal.of(minimum, "fail", count)
    assert list(caught.value.fields) == ["min_submitted"]


@pytest.mark.parametrize(("minimum", "count"), [(51, 50), (2, 1), (1, 0)])
def test_a_goal_that_proceeds_may_be_more_than_there_are(minimum, count):
    """It goes on with what can come."""
    goal = Goal.of(minimum, "proceed", count)
    assert (goal, goal.of_all(count)) == (Goal(minimum, proceed=True), count)


@pytest.mark.parametrize("on_deadline", ["", "Fail", "continue", None, True, 1, ["fail"]], ids=str)
def test_what_to_do_at_the_deadline_is_one_of_two_words(on_deadline):
    with pytest.raises(InvalidRequestError, match="'fail' or 'proceed'") as caught:
        Goal.of(None, on_deadline, 50)
    assert list(caught.value.fields) == ["on_deadline"]


@pytest.mark.parametrize(
    ("goal", "count", "needed"), [(ALL, 50, 50), (Goal(40), 50, 40), (Goal(40), 30, 30), (ALL, 0, 0)]
)
def test_a_goal_never_needs_more_than_there_are(goal, count, needed):
    assert goal.of_all(count) == needed


def many(arrived=0, ended=0, waiting=0, odd=0):
    kinds = [SUBMITTED] * arrived + [CANCELLED] * ended + [PENDING] * waiting + [ODD] * odd
    return {f"req_{n}": state for n, state in enumerate(kinds)}


FAIL, PROCEED = Goal(3), Goal(3, proceed=True)


@pytest.mark.parametrize(
    ("goal", "states", "in_time", "late"),
    [
        (FAIL, many(0, 0, 5), "wait", "timeout"),
        (FAIL, many(2, 0, 3), "wait", "timeout"),
        (FAIL, many(3, 0, 2), "done", "done"),
        (FAIL, many(3, 2, 0), "done", "done"),
        (FAIL, many(5, 0, 0), "done", "done"),
        (FAIL, many(2, 2, 1), "wait", "timeout"),
        (FAIL, many(0, 2, 0, 3), "wait", "timeout"),
        (FAIL, many(1, 3, 1), "failed", "failed"),
        (FAIL, many(2, 3, 0), "failed", "failed"),
        (FAIL, many(0, 5, 0), "failed", "failed"),
        (PROCEED, many(0, 0, 5), "wait", "done"),
        (PROCEED, many(2, 0, 3), "wait", "done"),
        (PROCEED, many(3, 0, 2), "done", "done"),
        # Too many have ended, but what is still open may arrive, and is waited for.
        (PROCEED, many(1, 3, 1), "wait", "done"),
        (PROCEED, many(1, 3, 0, 1), "wait", "done"),
        (PROCEED, many(2, 3, 0), "done", "done"),
        (PROCEED, many(0, 5, 0), "done", "done"),
        (Goal(None, proceed=True), many(4, 0, 1), "wait", "done"),
        (Goal(None, proceed=True), many(4, 1, 0), "done", "done"),
        (Goal(None, proceed=True), many(4, 1, 1), "wait", "done"),
        (Goal(None, proceed=True), many(5), "done", "done"),
        (ALL, many(4, 0, 1), "wait", "timeout"),
        (ALL, many(4, 1, 0), "failed", "failed"),
        (Goal(9), many(5), "done", "done"),
    ],
)
def test_a_wait_for_some_of_many_goes_on_or_ends(goal, states, in_time, late):
    for deadline, expected in ((None, in_time), (NOW + 1, in_time), (NOW, late), (NOW - 3600, late)):
        verdict = decide_photo_requests(list(states), states, now=NOW, deadline=deadline, goal=goal)
        assert verdict.outcome == expected
        assert len(verdict.arrived) + len(verdict.ended) + len(verdict.waiting) == len(states)


def test_the_same_id_given_twice_counts_once():
    verdict = decide_photo_requests(["a", "a", "b"], {"a": SUBMITTED}, now=NOW, deadline=None, goal=Goal(2))
    assert (verdict.outcome, verdict.arrived, verdict.waiting) == ("wait", ("a",), ("b",))


@pytest.mark.parametrize(
    ("goal", "states", "deadline"),
    [
        (FAIL, many(3, 1, 1), None),
        (FAIL, many(1, 3, 1), None),
        (FAIL, many(1, 0, 4), NOW),
        (PROCEED, many(1, 1, 3), NOW),
        (PROCEED, many(0, 5, 0), None),
        (PROCEED, many(0, 0, 5), NOW),
        (ALL, many(5), None),
    ],
)
def test_an_event_passes_for_the_goal_it_was_decided_by(goal, states, deadline):
    verdict = decide_photo_requests(list(states), states, now=NOW, deadline=deadline, goal=goal)
    assert Verdict.from_event(json.loads(json.dumps(verdict.as_event())), goal) == verdict


@pytest.mark.parametrize(
    ("goal", "event"),
    [
        (Goal(2), {"outcome": "done", "arrived": ["a"], "waiting": ["b"]}),
        (Goal(2), {"outcome": "done", "arrived": ["a"], "ended": {"b": "expired", "c": "expired"}}),
        (Goal(1), {"outcome": "done", "arrived": [], "waiting": ["b"]}),
        (Goal(1), {"outcome": "done"}),
        (Goal(1, proceed=True), {"outcome": "done"}),
        (Goal(None, proceed=True), {"outcome": "done"}),
        (Goal(1, proceed=True), {"outcome": "done", "arrived": [5]}),
        (Goal(1, proceed=True), {"outcome": "done", "waiting": "b"}),
        (Goal(1, proceed=True), {"outcome": "wait", "waiting": ["b"]}),
    ],
)
def test_an_event_that_misses_the_goal_never_passes_as_done(goal, event):
    with pytest.raises(UnexpectedReplyError, match="clear the task to wait again"):
        Verdict.from_event(event, goal)


def error_of(goal, states, deadline=None):
    verdict = decide_photo_requests(list(states), states, now=NOW, deadline=deadline, goal=goal)
    return error_of_photo_requests(verdict, "my_visiono", goal)


def test_a_goal_that_can_no_longer_be_met_says_so():
    error = error_of(Goal(4), many(1, 3, 2))
    assert type(error) is PhotoRequestFailedError
    for part in ("req_1 was cancelled", "can no longer arrive", "4", "1 arrived", "2 still open"):
        assert part in str(error)


def test_a_deadline_says_how_many_were_needed():
    error = error_of(Goal(4), many(1, 1, 4), deadline=NOW)
    assert type(error) is WaitTimeoutError
    assert error.waiting == ["req_2", "req_3", "req_4", "req_5"]
    for part in ("4", "were needed", "1 arrived"):
        assert part in str(error)


@pytest.mark.parametrize(("states", "deadline"), [(many(0, 3), None), (many(0, 0, 3), NOW)])
def test_a_wait_for_all_does_not_speak_of_a_number(states, deadline):
    text = str(error_of(ALL, states, deadline))
    assert "needed" not in text
    assert "no longer" not in text


@pytest.mark.parametrize(
    ("states", "deadline"), [(many(1, 2), None), (many(1, 0, 2), NOW), (many(0, 3), NOW)]
)
def test_a_goal_that_proceeds_is_no_error(states, deadline):
    assert error_of(PROCEED, states, deadline) is None


@pytest.mark.parametrize(
    ("interval", "age", "share_left", "expected"),
    [
        (60, 0, 1.0, 60),
        (60, 3600, 1.0, 60),
        (60, 2 * 3600, 1.0, 120),
        (60, 5 * 3600, 1.0, 300),
        (60, 30 * 86400, 1.0, 300),
        (60, -100, 1.0, 60),
        # What was asked for is never shortened.
        (900, 0, 1.0, 900),
        (900, 30 * 86400, 1.0, 900),
        (60, 0, 0.2, 60),
        (60, 0, 0.1, 120),
        (60, 0, 0.02, 600),
        (60, 0, 0.0, 600),
        (60, 2 * 3600, 0.1, 240),
    ],
)
def test_polls_grow_apart_with_age_and_as_calls_get_scarce(interval, age, share_left, expected):
    assert stretched(interval, age, share_left) == pytest.approx(expected)
