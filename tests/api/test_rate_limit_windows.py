"""When the next call may go: as tables, with the time as an argument."""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_visio.api.rate_limit import STARVED, RateLimit

NOW = 1767225600.0
MINUTE, HOUR = 60.0, 3600.0
BOTH = ((MINUTE, 60), (HOUR, 1000))


def spent(*counts: int, limits=BOTH, ago: float = 0.0) -> RateLimit:
    """Return a budget of which calls were taken some seconds ago."""
    budget = RateLimit(limits)
    for _ in range(sum(counts)):
        budget.take(NOW - ago)
    return budget


def headers(limit=None, left=None, reset=None) -> dict[str, str]:
    given = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": left, "x-ratelimit-reset": reset}
    return {name: str(value) for name, value in given.items() if value is not None}


def learnt(
    budget: RateLimit, found: dict[str, str], *, status=200, sent=NOW, now=NOW, pause=None
) -> RateLimit:
    budget.learn(status, found, sent=sent, now=now, pause=pause)
    return budget


def hold(budget: RateLimit, *, now=NOW, reserve=0.0) -> float:
    return budget.next_turn(now, reserve=reserve) - now


@pytest.mark.parametrize(
    ("taken", "ago", "reserve", "expected"),
    [
        (0, 0, 0, 0),
        (59, 0, 0, 0),
        (60, 0, 0, 60),
        (60, 59, 0, 1),
        (60, 60, 0, 0),
        (44, 0, 0.25, 0),
        (45, 0, 0.25, 60),
        (45, 0, 0, 0),
        (749, 120, 0.25, 0),
        (750, 120, 0.25, 3480),
        (750, 120, 0, 0),
        (1000, 120, 0, 3480),
        (1000, 3600, 0, 0),
        (1, 0, 1.0, 3600),
    ],
)
def test_a_call_waits_until_both_windows_have_room(taken, ago, reserve, expected):
    assert hold(spent(taken, ago=ago), reserve=reserve) == pytest.approx(expected)


def test_without_limits_a_call_never_waits():
    budget = learnt(spent(10_000, limits=()), headers(60, 0, NOW + 50))
    assert hold(budget, reserve=0.25) == 0
    assert (budget.left(NOW), budget.share_left(NOW)) == ([], 1.0)


@pytest.mark.parametrize(("limit", "reserve"), [(1, 0.0), (1, 0.25), (1, 0.99), (2, 0.6)])
def test_a_reserve_never_takes_the_last_call(limit, reserve):
    budget = RateLimit([(MINUTE, limit)])
    assert hold(budget, reserve=reserve) == 0
    assert budget.share_left(NOW, reserve=reserve) == 1.0


@pytest.mark.parametrize(
    ("taken", "reserve", "left", "share"),
    [
        (0, 0, [60, 1000], 1),
        (0, 0.25, [45, 750], 1),
        (20, 0.25, [25, 730], 730 / 750),
        (45, 0.25, [0, 705], 705 / 750),
        (60, 0.25, [0, 690], 690 / 750),
        (60, 0, [0, 940], 0.94),
        (1200, 0, [0, 0], 0),
    ],
)
def test_what_is_left_is_counted_apart_from_the_reserve(taken, reserve, left, share):
    budget = spent(taken)
    assert budget.left(NOW, reserve=reserve) == left
    assert budget.share_left(NOW, reserve=reserve) == pytest.approx(share)


def most_in_a_window(calls, seconds):
    """Return how many calls fall into the fullest sliding window, which no fixed one can beat."""
    calls = sorted(calls)
    return max(n - bisect_right(calls, call - seconds) for n, call in enumerate(calls, 1))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shared", [False, True], ids=["one process", "many"])
def test_whatever_the_pattern_no_window_ever_sees_more_than_its_limit(seed, shared):
    draw = random.Random(seed)
    limits = draw.choice([BOTH, ((MINUTE, 7), (HOUR, 40)), ((MINUTE, 1),), ((HOUR, 30),)])
    budget, now, calls = RateLimit(limits), NOW, []
    for _ in range(600):
        # Bursts, steady calls, and long silences.
        now += draw.choice([0.0, 0.0, 0.001, draw.random(), draw.expovariate(0.1), draw.random() * 900])
        reserve = draw.choice([0.0, 0.25])
        turn = budget.next_turn(now, reserve=reserve)
        assert turn >= now
        # A poll takes a turn that is there now; a call books one ahead, for as long as it may wait.
        if turn - now <= (0.0 if reserve else draw.choice([0.0, 120.0, 3600.0])):
            budget.take(turn)
            calls.append(turn)
        if shared:
            state = json.loads(json.dumps(budget.as_state()))
            budget = RateLimit(limits)
            budget.restore(state)
    for seconds, limit in limits:
        # The state keeps thousandths of a second.
        assert most_in_a_window(calls, seconds - 0.01) <= limit
        for start in (NOW - draw.random() * seconds for _ in range(20)):
            fixed = Counter((call - start) // seconds for call in calls if (call - start) % seconds > 0.01)
            assert max(fixed.values()) <= limit
    assert len(calls) > 10


@pytest.mark.parametrize(("limits", "bound"), [(BOTH, 16 * MINUTE), (((MINUTE, 60),), 16 * MINUTE)])
def test_a_thousand_calls_booked_at_once_finish_at_the_speed_of_the_limit(limits, bound):
    budget, turns = RateLimit(limits), []
    for _ in range(1000):
        turns.append(budget.next_turn(NOW))
        budget.take(turns[-1])
    assert turns == sorted(turns)
    assert turns[-1] - NOW == bound
    assert most_in_a_window(turns, MINUTE) == 60


def test_turns_booked_ahead_keep_polls_back():
    budget = RateLimit(BOTH)
    for _ in range(61):
        budget.take(budget.next_turn(NOW))
    assert hold(budget, reserve=0.25) == pytest.approx(60)
    assert budget.left(NOW, reserve=0.25) == [0, 689]


# What a service says after ten calls of ours -> the hold of the next call, and what is left in both windows.
TEN = [
    ("nothing", headers(), 0, [50, 990]),
    ("the minute, as we count", headers(60, 50, NOW + 30), 0, [50, 990]),
    ("the minute, less: others use the key", headers(60, 3, NOW + 30), 0, [3, 990]),
    ("the minute, more: its window began anew", headers(60, 59, NOW + 30), 0, [50, 990]),
    ("the minute is used up", headers(60, 0, NOW + 30), 30, [0, 990]),
    ("the minute is used up, without a reset", headers(60, 0), 60, [0, 990]),
    ("the hour, less", headers(1000, 20, NOW + 1800), 0, [50, 20]),
    ("the hour is used up", headers(1000, 0, NOW + 1800), 1800, [50, 0]),
    ("a remainder alone", headers(None, 4), 0, [4, 990]),
    ("a remainder and a reset within the minute", headers(None, 0, NOW + 20), 20, [0, 990]),
    ("a remainder and a reset within the hour", headers(None, 0, NOW + 900), 900, [50, 0]),
    ("another limit than the connection's, lower", headers(30, 20, NOW + 30), 0, [20, 990]),
    ("another limit, higher", headers(120, 110, NOW + 30), 0, [110, 990]),
    ("another limit of the hour", headers(500, 400, NOW + 1800), 0, [50, 400]),
    ("a reset in the past", headers(60, 0, NOW - 5), 60, [0, 990]),
    ("a reset in seconds from now", headers(60, 0, 30), 60, [0, 990]),
    ("a reset in milliseconds", headers(60, 0, (NOW + 30) * 1000), 60, [0, 990]),
    ("a reset days away", headers(1000, 0, NOW + 5 * 86400), 3600, [50, 0]),
    ("a reset that is none", headers(60, 0, "soon"), 60, [0, 990]),
    ("a reset that is no number", headers(60, 0, "nan"), 60, [0, 990]),
    ("a reset without end", headers(60, 0, "inf"), 60, [0, 990]),
    ("more left than the limit", headers(60, 61), 0, [50, 990]),
    ("a limit of nothing", headers(0, 0), 0, [50, 990]),
    ("a limit of the day", headers(10_000, 9_900), 0, [50, 990]),
    ("a limit of the day, used up", headers(10_000, 0), 0, [50, 990]),
]
NONSENSE = [
    "",
    " ",
    "-1",
    "-0",
    "1.5",
    "1e3",
    "nan",
    "inf",
    "many",
    "0x10",
    "\u0665",
    "9" * 400,
    "60, 1000",
    "None",
]


@pytest.mark.parametrize(("found", "wait", "left"), [case[1:] for case in TEN], ids=[case[0] for case in TEN])
def test_what_a_reply_says_comes_before_our_own_count(found, wait, left):
    budget = learnt(spent(10), found)
    assert hold(budget) == pytest.approx(wait)
    assert budget.left(NOW) == left


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("name", ["limit", "left", "reset"])
def test_nonsense_in_a_header_is_as_good_as_nothing(name, text):
    told = headers(**({"limit": 60, "left": 0, "reset": NOW + 30} | {name: text}))
    without = headers(**({"limit": 60, "left": 0, "reset": NOW + 30} | {name: None}))
    budget, other = learnt(spent(10), told), learnt(spent(10), without)
    assert (hold(budget), budget.left(NOW)) == (hold(other), other.left(NOW))


@given(
    st.dictionaries(
        st.sampled_from(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]),
        st.one_of(
            st.text(max_size=12),
            st.integers().map(str),
            st.floats().map(str),
            st.floats(-90_000, 90_000).map(lambda offset: str(NOW + offset)),
        ),
    ),
    st.sampled_from([200, 204, 404, 429, 500]),
    st.one_of(st.none(), st.floats(0, 1e9)),
    st.integers(0, 70),
)
@settings(deadline=None)
def test_no_header_ever_holds_calls_for_longer_than_the_longest_window(found, status, pause, taken):
    budget = learnt(spent(taken, ago=1), found, status=status, pause=pause)
    assert 0 <= hold(budget) <= HOUR + 1
    assert 0 <= hold(budget, reserve=0.25) <= HOUR + 1
    assert all(left >= 0 for left in budget.left(NOW, reserve=0.25))
    assert 0 <= budget.share_left(NOW, reserve=0.25) <= 1
    assert hold(budget, now=NOW + HOUR + 2) == 0


@pytest.mark.parametrize(
    ("found", "pause", "wait"),
    [
        (headers(60, 0, NOW + 20), 20.0, 20),
        (headers(), 20.0, 20),
        (headers(), 900.0, 900),
        (headers(1000, 0, NOW + 900), 900.0, 900),
        (headers(1000), 20.0, 20),
        (headers(60, 5), 20.0, 20),
        # For longer than the window whose limit it names.
        (headers(60, 0), 600.0, 600),
        (headers(), 90_000.0, 3600),
        (headers(), None, 0),
        (headers(60, 0), None, 0),
        (headers(60, 0, NOW + 20), 0.0, 0),
    ],
)
def test_a_refusal_holds_calls_for_as_long_as_it_asks(found, pause, wait):
    budget = learnt(RateLimit(BOTH), found, status=429, pause=pause)
    assert hold(budget) == pytest.approx(wait)
    assert hold(budget, reserve=0.25) == pytest.approx(wait)
    assert hold(budget, now=NOW + wait + 1) == 0


def test_calls_sent_after_the_one_that_is_answered_are_not_in_its_reply():
    budget = RateLimit(BOTH)
    for moment in (0, 1, 2, 3):
        budget.take(NOW + moment)
    learnt(budget, headers(60, 5, NOW + 40), sent=NOW + 1, now=NOW + 4)
    assert budget.left(NOW + 4)[0] == 3
    learnt(budget, headers(60, 1, NOW + 40), sent=NOW + 1, now=NOW + 4)
    assert hold(budget, now=NOW + 4) == pytest.approx(36)


def test_calls_taken_since_a_reply_count_until_the_window_opens():
    budget = learnt(spent(10), headers(60, 2, NOW + 30))
    budget.take(NOW + 1)
    assert hold(budget, now=NOW + 1) == 0
    budget.take(NOW + 1)
    assert hold(budget, now=NOW + 1) == pytest.approx(29)
    assert hold(budget, now=NOW + 30) == 0


def test_a_poll_leaves_the_reserve_of_what_the_service_says_is_left():
    assert hold(learnt(RateLimit(BOTH), headers(60, 16, NOW + 30)), reserve=0.25) == 0
    assert hold(learnt(RateLimit(BOTH), headers(60, 15, NOW + 30)), reserve=0.25) == pytest.approx(30)
    assert hold(learnt(RateLimit(BOTH), headers(60, 15, NOW + 30))) == 0


def test_a_limit_that_was_learnt_stays():
    budget = learnt(RateLimit(BOTH), headers(10, 9, NOW + 30))
    for _ in range(10):
        budget.take(NOW + 100)
    assert hold(budget, now=NOW + 100) == pytest.approx(60)


@pytest.mark.parametrize("jump", [-86400.0, -7200.0, HOUR + 1, 86400.0, 400 * 86400.0])
@pytest.mark.parametrize("found", [headers(), headers(60, 0, NOW + 50), headers(1000, 0, NOW + 3000)])
def test_a_clock_that_jumps_far_holds_nothing(jump, found):
    budget = learnt(spent(1000), found)
    assert hold(budget) > 0
    assert hold(budget, now=NOW + jump) == 0
    assert budget.left(NOW + jump) == [60, 1000]


@pytest.mark.parametrize("jump", [-600.0, -1800.0, -3540.0])
@pytest.mark.parametrize(("limits", "calls"), [(BOTH, 60), (((HOUR, 1000),), 1000)])
def test_a_clock_that_jumps_back_a_little_holds_for_no_longer_than_the_window(jump, limits, calls):
    """Its calls seem to lie ahead then, as turns do that were booked."""
    budget = RateLimit(limits)
    for _ in range(calls):
        budget.take(budget.next_turn(NOW))
    assert hold(budget) > 0
    assert hold(budget, now=NOW + jump) <= limits[0][0]


def test_turns_booked_more_than_an_hour_ahead_are_not_given_out_twice():
    budget, turns = RateLimit(BOTH), []
    for _ in range(1500):
        turns.append(budget.next_turn(NOW))
        budget.take(turns[-1])
    assert turns[-1] > NOW + HOUR
    assert most_in_a_window(turns, MINUTE) == 60
    assert most_in_a_window(turns, HOUR) == 1000


@pytest.mark.parametrize(
    ("waited", "relieved_ago", "expected"),
    [
        (0, 1e9, False),
        (STARVED - 1, 1e9, False),
        (STARVED, 1e9, True),
        (STARVED, STARVED - 1, False),
        (STARVED, STARVED, True),
        (STARVED, -3600, True),
    ],
)
def test_one_starved_poll_is_relieved_at_a_time(waited, relieved_ago, expected):
    budget = RateLimit(BOTH)
    assert budget.relieve(NOW - relieved_ago, STARVED)
    assert budget.relieve(NOW, waited) is expected


def test_a_state_restores_all_that_counts():
    budget = learnt(spent(40, ago=5), headers(50, 7, NOW + 30))
    assert budget.relieve(NOW, STARVED)
    for _ in range(20):
        budget.take(budget.next_turn(NOW))
    other = RateLimit(BOTH)
    other.restore(json.loads(json.dumps(budget.as_state())))
    assert other.as_state() == budget.as_state()
    assert not other.relieve(NOW, STARVED)
    for reserve in (0.0, 0.25):
        assert hold(other, reserve=reserve) == pytest.approx(hold(budget, reserve=reserve), abs=0.002)
        assert other.left(NOW, reserve=reserve) == budget.left(NOW, reserve=reserve)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=15,
)
NUMBER = st.integers(-(2**63), 2**63) | st.floats() | st.floats(NOW - 9000, NOW + 9000) | ANY_JSON
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "calls": st.lists(NUMBER, max_size=5) | ANY_JSON,
        "relieved": NUMBER,
        "windows": st.lists(
            st.tuples(st.sampled_from([60.0, 60, 3600.0, True]) | NUMBER, NUMBER, NUMBER, NUMBER).map(list)
            | ANY_JSON,
            max_size=3,
        )
        | ANY_JSON,
    },
)


@given(ANY_JSON | NEARLY)
@example({"calls": [NOW] * 5000})
@example({"calls": [float("nan"), float("inf"), -1e308, 1e308]})
@example({"windows": [[60.0, 60, -5, NOW + 30]]})
@example({"windows": [[60.0, -60, 0, NOW + 30], [3600.0, 0, 0, NOW + 90_000]]})
@example({"windows": [[60.0, True, False, NOW + 30]]})
@settings(deadline=None)
def test_garbage_in_a_state_does_no_harm(state):
    budget = spent(3)
    budget.restore(state)
    assert 0 <= hold(budget) <= 2 * HOUR
    assert all(left >= 0 for left in budget.left(NOW, reserve=0.25))
    assert 0 <= budget.share_left(NOW, reserve=0.25) <= 1
    budget.take(budget.next_turn(NOW, reserve=0.25))
    learnt(budget, headers(60, 30, NOW + 30))
    json.dumps(budget.as_state(), allow_nan=False)


def test_a_call_that_overtakes_those_before_it_is_not_refused(monkeypatch):
    """A service whose window begins with a call that was slow to arrive, while the next ones arrive at once."""
    monkeypatch.setattr("airflow_provider_visio.api.rate_limit.MARGIN", 0.5)
    budget, arrivals = RateLimit(((MINUTE, 60),)), []
    for number in range(600):
        turn = budget.next_turn(NOW)
        budget.take(turn)
        arrivals.append(turn + (0.4 if number % 60 == 0 else 0.0))
    begins, count, refused = 0.0, 0, 0
    for arrival in sorted(arrivals):
        if arrival >= begins + MINUTE:
            begins, count = arrival, 0
        count += 1
        refused += count > 60
    assert refused == 0
    assert max(arrivals) - NOW <= 9 * MINUTE * 1.01


def test_a_refused_call_takes_nothing_from_the_hour():
    budget = RateLimit(BOTH)
    for number in range(1000):
        budget.take(NOW + number * 3)
    now = NOW + 999 * 3
    budget.learn(429, {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0"}, sent=now, now=now, pause=5.0)
    assert budget.next_turn(now) == now + 5
