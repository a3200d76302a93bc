"""Lists that mislead a poll: by what they count, leave out or refuse, or show first. They hide no news."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visio.api.arrived_list import FORGET
from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError, PermissionDeniedError
from api.test_photo_request_poller import Endless, FakeService, Poll, known_as, workspace

HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
@pytest.mark.parametrize("since", ["honours", "ignores"])
@pytest.mark.parametrize("age", [HOUR, 3 * DAY])
def test_an_arrival_is_learnt_though_the_list_is_far_longer_than_what_waits(order, since, age):
    """Not worth reading to its end, so what it did not show must be asked for in another way."""
    service = FakeService(order=order, since=since)
    service.make(3000, status="submitted", age=2 * DAY)
    poll = Poll(service, service.make(6, age=age))
    service.make(50)
    poll.round()
    poll.round()
    service.submit(poll.ids[0])
    assert poll.rounds_until(known_as(poll, poll.ids[:1], "arrived"), most=12)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_an_arrival_is_learnt_though_a_deletion_leaves_the_total_as_it_was(order):
    """DAGs that download and then delete do this all day."""
    service = FakeService(order=order)
    poll = Poll(service, service.make(500, age=2 * HOUR))
    service.submit(*poll.ids[100:400])
    poll.round()
    poll.round()
    service.delete(poll.ids[200])
    late = poll.ids[3] if order == "newest" else poll.ids[-3]
    service.submit(late)
    assert poll.rounds_until(known_as(poll, [late], "arrived"), most=2)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_total_that_counts_the_page_is_not_believed(order):
    service = FakeService(order=order, total="page")
    poll = Poll(service, service.make(400, age=2 * HOUR))
    poll.round()
    service.submit(*poll.ids[50:350])
    assert poll.rounds_until(lambda: len(poll.waiting) == 100, most=2)


@pytest.mark.parametrize("order", ["oldest", "shuffled"])
@pytest.mark.parametrize("paging", ["pages", "links", "cursor"])
def test_a_total_that_counts_everything_is_not_believed(order, paging):
    service = FakeService(since="ignores", order=order, total="everything", paging=paging)
    service.make(600, status="submitted", age=9 * DAY)
    poll = Poll(service, service.make(400, age=300))
    poll.round()
    poll.round()
    service.submit(*poll.ids[100:110])
    assert poll.rounds_until(known_as(poll, poll.ids[100:110], "arrived"), most=12)


@pytest.mark.parametrize("others", range(400, 406))
def test_a_page_in_no_order_is_not_taken_for_one_that_is_newest_first(others):
    """By chance its first item can be newer than its last one; each number of others is another such order."""
    service = FakeService(order="shuffled", since="ignores")
    service.make(others, status="submitted", age=30 * DAY)
    poll = Poll(service, service.make(60, age=HOUR))
    poll.round()
    service.submit(*poll.ids[:20])
    assert poll.rounds_until(lambda: len(poll.waiting) == 40, most=2)


@pytest.mark.parametrize("total", ["filtered", None])
@pytest.mark.parametrize("paging", ["pages", "links"])
def test_a_first_page_that_happens_to_fit_does_not_prove_that_the_list_is_filtered(total, paging):
    service = FakeService(filters="ignores", since="ignores", order="oldest", total=total, paging=paging)
    service.make(1000, status="submitted", age=9 * DAY)
    poll = Poll(service, service.make(150, age=300))
    poll.round()
    poll.round()
    service.submit(poll.ids[120])
    assert poll.rounds_until(known_as(poll, poll.ids[120:121], "arrived"), most=12)


@pytest.mark.parametrize("interval", [1201.0, 1800.0, 3600.0])
def test_a_deletion_is_learnt_by_a_poll_that_seldom_looks(interval):
    service = FakeService()
    poll = Poll(service, service.make(20))
    poll.round(after=interval)
    service.delete(poll.ids[4])
    assert poll.rounds_until(known_as(poll, poll.ids[4:5], "deleted"), most=48, after=interval)


@pytest.mark.parametrize("count", [4, 50])
def test_a_deletion_is_learnt_though_the_list_has_no_end(count):
    service = Endless()
    poll = Poll(service, service.make(count))
    for _ in range(3):
        poll.round()
    service.delete(poll.ids[0])
    assert poll.rounds_until(known_as(poll, poll.ids[:1], "deleted"), most=60 * 6)


@pytest.mark.parametrize("error", [NotFoundError("404", status=404), InvalidRequestError("422", status=422)])
@pytest.mark.parametrize("known", [True, False])
def test_a_service_may_refuse_the_page_after_the_last(error, known):
    """Where nothing tells which page is the last, the end is found by asking for one more."""
    service = FakeService(paging="bare", total=None, beyond=error)
    poll = Poll(service, service.make(250), known=known)
    poll.round()
    service.submit(*poll.ids[:30])
    poll.rounds_until(lambda: len(poll.waiting) == 220, most=2)
    assert len(poll.waiting) == 220
    assert len(poll.round()) < 20, "the list is still of use"


@pytest.mark.parametrize("error", [NotFoundError, PermissionDeniedError, InvalidRequestError])
def test_a_list_is_not_given_up_for_a_patrol_s_next_page_that_is_gone(error):
    """A cursor lapses, or deletions take the page away; asking for each of a thousand would use up the hour."""
    service = FakeService()
    poll = Poll(service, service.make(1000))
    for _ in range(12):
        poll.round()

    def gone(query: dict[str, str]) -> Any:
        if "status" not in query and "page" in query:
            raise error("gone")
        return FakeService.page(service, query)

    service.page = gone  # type: ignore[method-assign]
    assert max(len(poll.round()) for _ in range(20)) < 100


def test_a_list_is_not_given_up_when_all_that_was_waited_for_is_deleted():
    service = FakeService()
    poll = Poll(service, service.make(5))
    poll.round()
    service.delete(*poll.ids)
    service.make(3)
    assert poll.rounds_until(lambda: not poll.waiting, most=30)
    poll.ids += service.make(1000)
    assert len(poll.round()) < 100


class Lagging(FakeService):
    """Its list shows a new request a little later than the request itself is there."""

    hidden: frozenset[str] = frozenset()

    def _ordered(self) -> list[dict[str, Any]]:
        return [item for item in super()._ordered() if item["id"] not in self.hidden]


def test_a_list_that_once_showed_little_is_read_again_later():
    service = Lagging(filters="ignores", since="ignores")
    poll = Poll(service, service.make(20), known=False)
    poll.round()
    poll.round()
    joined = service.make(300)
    service.hidden = frozenset(joined)
    poll.ids += joined
    poll.round()
    del poll.ids[:20]
    service.hidden = frozenset()
    for _ in range(60):
        poll.round()
    assert len(poll.round()) <= 10


@pytest.mark.parametrize("place", [0, 75, 149])
def test_what_is_cheaper_to_ask_for_than_to_read_on_for_is_asked_for_at_once(place):
    service, poll = workspace(150, {"filters": "ignores", "size": 25, "order": "oldest"})
    service.submit(poll.ids[place])
    assert poll.rounds_until(known_as(poll, [poll.ids[place]], "arrived"), most=2)


def test_with_two_words_for_submitted_the_list_is_never_filtered_by_one_of_them():
    """Not even when a list that did not serve is given another chance."""
    service = FakeService(submitted=("submitted", "completed"))
    service.make(700, age=9000)
    poll = Poll(service, service.make(50, age=DAY))
    poll.round()
    service.submit(*poll.ids[:4])
    assert poll.rounds_until(known_as(poll, poll.ids[:4], "arrived"), most=200)
    poll.round(after=FORGET + 1)
    poll.round()
    service.submit(*poll.ids[10:12])
    assert poll.rounds_until(known_as(poll, poll.ids[10:12], "arrived"), most=2)


def test_the_word_for_submitted_is_learnt_from_requests_of_others_too():
    service = FakeService(submitted=("completed",))
    service.make(2000, status="completed", age=DAY)
    poll = Poll(service, service.make(50, age=3 * DAY), known=False)
    poll.round()
    poll.round()
    service.submit(poll.ids[0])
    assert poll.rounds_until(known_as(poll, poll.ids[:1], "arrived"), most=2)


class Gappy(FakeService):
    """Its list has an empty page, or one with something strange, before each page."""

    strange: tuple[Any, ...] = ()

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        at = query.get("cursor", "gap 1")
        if at.startswith("gap"):
            return {"data": [*self.strange], "meta": {"next_cursor": at[4:]}, "links": {}}
        reply = super().page({**query, "cursor": at})
        if reply["meta"]["next_cursor"]:
            reply["meta"]["next_cursor"] = f"gap {reply['meta']['next_cursor']}"
        return reply


@pytest.mark.parametrize("strange", [(), (None, "req_1")])
def test_an_empty_page_hides_nothing_that_comes_after_it(strange):
    service = Gappy(paging="cursor", filters="ignores", since="ignores", total=None, order="oldest")
    service.strange = strange
    poll = Poll(service, service.make(300, age=HOUR))
    poll.round()
    service.submit(*poll.ids[:150])
    assert poll.rounds_until(known_as(poll, poll.ids[:150], "arrived"), most=2)
    assert len(poll.round()) <= 10, "the list is still of use"


class Brief(FakeService):
    """Its list has ids and times of creation alone."""

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        reply = super().page(query)
        reply["data"] = [{"id": item["id"], "created_at": item["created_at"]} for item in reply["data"]]
        return reply


def test_an_item_without_a_status_tells_nothing_of_its_request():
    service = Brief()
    poll = Poll(service, service.make(20))
    poll.round()
    service.submit(poll.ids[0])
    assert poll.rounds_until(known_as(poll, poll.ids[:1], "arrived"), most=30)


@pytest.mark.parametrize(
    ("which", "created_at"),
    [
        # Go's zero time; a little earlier, as the list is asked for, there is no date.
        (slice(0, 1), "0001-01-01T00:00:00Z"),
        # Past the end of the year 9999, there is none either.
        (slice(None), "9999-12-31T23:59:59-23:59"),
    ],
)
def test_a_creation_time_that_no_date_is_before_or_after_ends_no_wait(which, created_at):
    service = FakeService()
    poll = Poll(service, service.make(20))
    for found in poll.ids[which]:
        poll.states[found]["created_at"] = created_at
    poll.round()
    service.submit(poll.ids[0], poll.ids[5])
    poll.round()
    assert len(poll.waiting) == 18
