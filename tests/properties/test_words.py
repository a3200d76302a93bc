"""Whatever a service says of an id, and whatever a trigger fires, a wait knows where it stands."""

from __future__ import annotations

import json
from typing import get_args

from hypothesis import strategies as st

from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import UnexpectedReplyError, VisioProviderError
from airflow_provider_visio.waiting import (
    PHOTO_REQUEST_PHASES,
    Goal,
    Phase,
    Verdict,
    decide,
    decide_exports,
    decide_photo_requests,
    epoch,
    error_of_exports,
    error_of_photo_requests,
    export_phase,
    photo_request_phase,
)
from properties.cases import cases
from properties.checks import check_written
from properties.values import KEY, json_object, json_value, leaf, state

NOW = 1767225600.0
PHASES = [*get_args(Phase), None]
CONTRACT = VizdomContract()
IDS = st.text("ab1", min_size=1, max_size=3)

known_word = st.sampled_from([*PHOTO_REQUEST_PHASES, "failed", "processing", "completed"])
spelt = st.builds(
    lambda word, case, separator, edge: edge + case(word).replace("_", separator) + edge,
    known_word,
    st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
    st.sampled_from(["_", "-", " "]),
    st.sampled_from(["", " ", "\n"]),
)
states = st.dictionaries(IDS, state | st.fixed_dictionaries({"status": spelt | leaf}), max_size=5)
goals = st.builds(Goal, st.none() | st.integers(1, 6), st.booleans())
deadlines = st.none() | st.sampled_from([NOW - 1, NOW, NOW + 1])


def check_partition(verdict: Verdict, ids) -> None:
    parts = [*verdict.arrived, *verdict.ended, *verdict.waiting]
    assert sorted(parts) == sorted(ids)
    assert verdict.unknown.keys() <= set(verdict.waiting)


def check_words(text: str) -> None:
    assert KEY not in text
    check_written(text)


def check_error(error: Exception | None, verdict: Verdict) -> None:
    assert isinstance(error, VisioProviderError) == (verdict.outcome in {"failed", "timeout"})
    check_words(str(error))


@cases(800, word=spelt)
def test_a_word_means_the_same_however_it_is_spelt(word):
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    assert photo_request_phase({"status": word}, now=NOW) == PHOTO_REQUEST_PHASES.get(plain)
    assert export_phase({"status": word}, CONTRACT) == export_phase({"status": plain}, CONTRACT)


@cases(800, state=state)
def test_any_state_has_a_phase_or_none(state):
    assert photo_request_phase(state, now=NOW) in PHASES
    assert export_phase(state, CONTRACT) in PHASES


@cases(800, states=states, goal=goals, deadline=deadlines)
def test_a_verdict_over_any_states_puts_each_id_in_one_place(states, goal, deadline):
    verdict = decide_photo_requests(list(states), states, now=NOW, deadline=deadline, goal=goal)
    check_partition(verdict, states)
    check_error(error_of_photo_requests(verdict, "my_visiono", goal), verdict)
    exports = decide_exports(list(states), states, CONTRACT, now=NOW, deadline=deadline)
    check_partition(exports, states)
    check_error(error_of_exports(exports, "my_vizdom"), exports)


@cases(500, phases=st.dictionaries(IDS, st.sampled_from(PHASES), max_size=6), goal=goals, deadline=deadlines)
def test_a_wait_that_is_late_is_over_and_one_that_is_done_has_what_it_needs(phases, goal, deadline):
    verdict = decide({i: {} for i in phases}, phases, now=NOW, deadline=deadline, goal=goal)
    check_partition(verdict, phases)
    if deadline is not None and deadline <= NOW:
        assert verdict.outcome != "wait"
    if verdict.outcome == "done" and not goal.proceed:
        assert len(verdict.arrived) >= goal.of_all(len(phases))
    if verdict.outcome == "wait":
        assert verdict.waiting


@cases(500, states=states, goal=goals, deadline=deadlines)
def test_a_verdict_comes_through_an_event_unchanged(states, goal, deadline):
    verdict = decide_photo_requests(list(states), states, now=NOW, deadline=deadline, goal=goal)
    event = json.loads(json.dumps(verdict.as_event()))
    if verdict.outcome != "wait" and states:
        assert Verdict.from_event(event, goal) == verdict


names = ["outcome", "arrived", "ended", "waiting", "unknown", "trouble", "deadline"]
lists = st.lists(IDS, max_size=3)
dicts = st.dictionaries(IDS, json_value, max_size=3)
event = st.fixed_dictionaries(
    {"outcome": st.sampled_from(["done", "failed", "timeout", "trouble", "wait"]) | json_value},
    optional={"arrived": lists, "waiting": lists, "ended": dicts, "unknown": dicts, "trouble": json_value},
) | json_object(names, json_value)


@cases(800, event=event | json_value, goal=goals)
def test_any_event_is_a_verdict_that_can_be_settled_or_is_refused(event, goal):
    try:
        verdict = Verdict.from_event(event, goal)
    except UnexpectedReplyError:
        return
    assert verdict.outcome != "wait"
    if verdict.outcome == "done":
        assert goal.proceed or len(verdict.arrived) >= 1
    check_error(error_of_photo_requests(verdict, "my_visiono", goal), verdict)
    check_error(error_of_exports(verdict, "my_vizdom"), verdict)


@cases(
    500,
    moment=leaf
    | st.datetimes().map(str)
    | st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat()),
)
def test_any_moment_is_a_time_or_nothing(moment):
    found = epoch(moment)
    assert found is None or -1e12 < found < 1e12
