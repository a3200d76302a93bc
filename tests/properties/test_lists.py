"""A list of any shape is walked to an end, in calls that can be sent, and asks for nothing but what is waited for."""

from __future__ import annotations

from hypothesis import strategies as st

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.one_time_queries import query_exports
from airflow_provider_visio.api.pages import MAX_PAGES, Pages
from airflow_provider_visio.api.photo_request_poller import RequestPoller, query_photo_requests
from airflow_provider_visio.api.reply import _clean
from airflow_provider_visio.api.visiono import list_photo_requests
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    VisioProviderError,
)
from airflow_provider_visio.waiting import decide_photo_requests
from properties.cases import cases
from properties.values import envelope, state

BASE = "https://api.visio.now/v1"
NOW = 1767225600.0
IDS = [f"req_{number}" for number in range(12)]

refusal = st.sampled_from(
    [InvalidRequestError("no"), NotFoundError("no"), PermissionDeniedError("no"), ServiceError("no")]
)
# Replies are read before a list is walked: text that UTF-8 cannot carry is out of them then.
read = envelope.map(lambda one: _clean(one, ()))
answer = st.one_of(read, read, read, refusal)
answers = st.lists(answer, min_size=1, max_size=4)
ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=12, unique=True)


def check_call(request: Call, path: str = "/photo-requests") -> None:
    assert request.method == "GET"
    assert request.path == path or request.path.removeprefix(f"{path}/") in IDS
    url = request.url(BASE)
    assert url.startswith(f"{BASE}{path}")
    assert url.isascii()


def carry_out(looking, answers, path: str = "/photo-requests") -> int:
    """Carry out a sweep as the drivers do, with answers in turn, and return how many calls it took."""
    calls = 0
    try:
        request = next(looking)
        while True:
            try:
                check_call(request, path)
                found = answers[calls % len(answers)]
            except InvalidRequestError as refused:
                found = refused  # by the client, which cannot make a URL of it
            calls += 1
            assert calls < 200, "it goes on for ever"
            request = looking.throw(found) if isinstance(found, Exception) else looking.send(found)
    except (StopIteration, VisioProviderError):
        return calls


@cases(1000, found=st.lists(read, min_size=1, max_size=4), limit=st.none() | st.integers(-1, 9))
def test_a_walk_over_any_pages_ends_and_gives_each_item_once(found, limit):
    pages, items = Pages(list_photo_requests(page_size=100), limit), []
    while pages.next is not None:
        check_call(pages.next)
        each = found[pages.asked % len(found)]
        fresh = pages.take(each)
        items += fresh
        assert pages.asked <= MAX_PAGES
        more = each["links"].get("next") if "next" in each["links"] else each["meta"].get("next_cursor")
        if fresh and more and limit is None:
            assert pages.next is not None or pages.cut, "a list that goes on ends as if it were whole"
    marks = [str(item["id"]) for item in items if item.get("id") is not None]
    assert len(marks) == len(set(marks))
    assert limit is None or len(items) <= max(0, limit)


@cases(800, wanted=ids, answers=answers)
def test_a_sweep_over_any_list_learns_of_what_was_asked_and_nothing_else(wanted, answers):
    learnt = {}
    calls = carry_out(query_photo_requests(wanted, learnt.__setitem__), answers)
    assert learnt.keys() <= set(wanted)
    assert calls <= 2 * len(wanted)
    verdict = decide_photo_requests(wanted, learnt, now=NOW, deadline=None)
    assert len(verdict.arrived) + len(verdict.ended) + len(verdict.waiting) == len(wanted)


@cases(500, wanted=ids, answers=answers)
def test_a_sweep_over_exports_learns_of_each(wanted, answers):
    learnt = {}
    calls = carry_out(query_exports(wanted, VizdomContract(), learnt.__setitem__), answers, "/exports")
    assert learnt.keys() <= set(wanted)
    assert calls <= len(wanted)


rounds = st.lists(
    st.tuples(ids, answers, st.sampled_from([0.0, 60.0, 700.0, 1e5, -1e5])), min_size=1, max_size=5
)


@cases(800, states=st.dictionaries(st.sampled_from(IDS), state, max_size=4), rounds=rounds)
def test_a_poll_over_any_list_learns_of_what_it_waits_for_and_nothing_else(states, rounds):
    waiting: set[str] = set()

    def learn(found, state):
        assert found in waiting
        states[found] = state

    lookout, now = RequestPoller(states, learn), NOW
    for wanted, found, later in rounds:
        waiting, now = set(wanted), now + later
        assert carry_out(lookout.sweep(wanted, now), found) <= 4 * len(wanted) + 4
