"""A poll's memory: every piece of news is learnt soon, in few calls, whatever the service's list turns out to do."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.photo_request_poller import RequestPoller
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    ServiceError,
    VisioProviderError,
)
from airflow_provider_visio.waiting import photo_request_phase

# 2026-01-01T00:00:00Z
START = 1767225600.0
MINUTE = 60.0


def iso(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat().replace("+00:00", "Z")


@dataclass
class FakeService:
    """
    A service with photo requests, whose list behaves as told.

    :param filters, since: what it does about ``status`` and ``created_after``: honours, ignores or refuses it.
    :param total: what ``meta.total`` counts: "filtered", "everything", "page", or None where it is not there.
    :param size: items of a page at most, whatever is asked for.
    :param order: "newest", "oldest" or "shuffled".
    :param paging: "pages" (Laravel), "cursor", "links", or "bare": page numbers without any signal.
    :param beyond: the error for a page after the last, or None for an empty page.
    :param submitted: its words for a request whose photos are in, in turn.
    """

    filters: str = "honours"
    since: str = "honours"
    total: str | None = "filtered"
    size: int = 100
    order: str = "newest"
    paging: str = "pages"
    beyond: VisioProviderError | None = None
    submitted: tuple[str, ...] = ("submitted",)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    now: float = START
    _made: int = 0
    _arrived: int = 0

    def make(self, count: int, *, status: str = "pending", age: float = 0.0) -> list[str]:
        made = []
        for _ in range(count):
            self._made += 1
            made.append(f"req_{self._made}")
            # A second apart, so that the order is one.
            created = iso(self.now - age + self._made % 1000 / 1000)
            self.requests[made[-1]] = {"id": made[-1], "status": status, "created_at": created}
        return made

    def submit(self, *ids: str) -> None:
        for found in ids:
            self.requests[found]["status"] = self.submitted[self._arrived % len(self.submitted)]
            self._arrived += 1

    def set(self, status: str, *ids: str) -> None:
        for found in ids:
            self.requests[found]["status"] = status

    def delete(self, *ids: str) -> None:
        for found in ids:
            del self.requests[found]

    def answer(self, call: Call) -> dict[str, Any]:
        self.calls.append(call)
        assert call.method == "GET"
        if call.path != "/photo-requests":
            found = self.requests.get(call.path.removeprefix("/photo-requests/"))
            if found is None:
                raise NotFoundError("404", status=404)
            return {"data": dict(found), "meta": {}, "links": {}}
        return self.page({name: str(value) for name, value in call.params.items() if value is not None})

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        items = self._ordered()
        for name, behaviour, keeps in (
            ("status", self.filters, lambda item: item["status"] == query["status"]),
            ("created_after", self.since, lambda item: item["created_at"] > query["created_after"]),
        ):
            if name in query and behaviour == "refuses":
                raise InvalidRequestError(f"422: {name}", status=422)
            if name in query and behaviour == "honours":
                items = [item for item in items if keeps(item)]
        size = min(self.size, int(query.get("per_page", 15)))
        number = int(query.get("cursor" if self.paging == "cursor" else "page", 1))
        shown, more = items[(number - 1) * size : number * size], len(items) > number * size
        if number > 1 and not shown and self.beyond is not None:
            raise self.beyond
        last = max(1, -(-len(items) // size))
        meta: dict[str, Any] = {}
        if self.total is not None:
            meta["total"] = {"filtered": len(items), "everything": len(self.requests), "page": len(shown)}[
                self.total
            ]
        links: dict[str, Any] = {}
        following = f"https://api.visio.now/v1/photo-requests?page={number + 1}" if more else None
        if self.paging == "pages":
            meta |= {"current_page": number, "last_page": last}
            links = {"next": following}
        elif self.paging == "links":
            links = {"next": following}
        elif self.paging == "cursor":
            meta["next_cursor"] = str(number + 1) if more else None
        return {"data": [dict(item) for item in shown], "meta": meta, "links": links}

    def _ordered(self) -> list[dict[str, Any]]:
        items = sorted(self.requests.values(), key=lambda item: (item["created_at"], item["id"]))
        if self.order == "shuffled":
            items.sort(key=lambda item: random.Random(item["id"]).random())
        return items[::-1] if self.order == "newest" else items


class Poll:
    """A poll over such a service, as the trigger carries it out; ``round`` returns the calls that one sweep made."""

    def __init__(self, service: FakeService, ids: list[str], *, known: bool = True) -> None:
        self.service = service
        self.ids = list(ids)
        self.states: dict[str, dict[str, Any]] = {}
        self.lookout = RequestPoller(self.states, self.states.__setitem__)
        if known:
            self.states.update({i: dict(service.requests[i]) for i in ids if i in service.requests})

    @property
    def waiting(self) -> list[str]:
        return [i for i in self.ids if self.phase(i) in {None, "open"}]

    def phase(self, found: str) -> str | None:
        return photo_request_phase(self.states.get(found, {}), now=self.service.now)

    def round(self, *, after: float = MINUTE, fail_at: int | None = None) -> list[Call]:
        """Carry out one sweep after some seconds; call number ``fail_at`` of it is lost."""
        self.service.now += after
        if not self.waiting:
            return []
        before = len(self.service.calls)
        sweep = self.lookout.sweep(self.waiting, self.service.now)
        try:
            request = next(sweep)
            while True:
                assert len(self.service.calls) - before < 20_000, "a sweep without end"
                try:
                    if fail_at is not None and len(self.service.calls) - before == fail_at:
                        raise ServiceError("503", status=503)
                    envelope = self.service.answer(request)
                except VisioProviderError as error:
                    request = sweep.throw(error)
                else:
                    request = sweep.send(envelope)
        except StopIteration:
            pass
        return self.service.calls[before:]

    def rounds_until(self, known: Any, *, most: int, after: float = MINUTE) -> int | None:
        """Return how many sweeps it takes until something is known, or None where it takes more than ``most``."""
        for n in range(1, most + 1):
            self.round(after=after)
            if known():
                return n
        return None


def known_as(poll: Poll, ids: list[str], phase: str | None) -> Any:
    return lambda: all(poll.phase(i) == phase for i in ids)


# What a list turns out to do -> the fake's settings.
BEHAVIOURS: dict[str, dict[str, Any]] = {
    "filters and counts": {},
    "the oldest first": {"order": "oldest"},
    "in no order": {"order": "shuffled"},
    "ignores created_after": {"since": "ignores"},
    "ignores created_after, the oldest first": {"since": "ignores", "order": "oldest"},
    "refuses created_after": {"since": "refuses"},
    "shows no total": {"total": None},
    "shows no total, in no order": {"total": None, "order": "shuffled"},
    "counts everything": {"total": "everything"},
    "has small pages": {"size": 25},
    "has cursors": {"paging": "cursor"},
    "has links alone": {"paging": "links"},
    "has bare page numbers": {"paging": "bare"},
    "has bare page numbers, and no total": {"paging": "bare", "total": None},
    "ignores the status": {"filters": "ignores"},
    "ignores the status, the oldest first": {"filters": "ignores", "order": "oldest"},
    "ignores all it is asked": {"filters": "ignores", "since": "ignores", "total": None},
    "refuses the status": {"filters": "refuses", "since": "refuses"},
}
behaviours = pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
counts = pytest.mark.parametrize("count", [1, 3, 4, 20, 150])


def workspace(count: int, behaviour: dict[str, Any], *, known: bool = True) -> tuple[FakeService, Poll]:
    """Return a service with our requests among those of others, and a poll that has looked twice."""
    service = FakeService(**behaviour)
    service.make(20, status="submitted", age=7200)
    service.make(10, age=7100)
    poll = Poll(service, service.make(count, age=7000), known=known)
    service.make(20, age=3000)
    for _ in range(2):
        poll.round()
    return service, poll


@behaviours
@counts
@pytest.mark.parametrize("known", [True, False])
def test_an_arrival_is_learnt_by_the_next_sweep(behaviour, count, known):
    service, poll = workspace(count, behaviour, known=known)
    for place in {0, count // 2, count - 1}:
        service.submit(poll.ids[place])
        poll.round()
        assert poll.phase(poll.ids[place]) == "arrived"
    assert len(poll.waiting) == count - len({0, count // 2, count - 1})


@behaviours
@pytest.mark.parametrize("count", [20, 150])
def test_many_arrivals_at_once_are_learnt_by_the_next_sweep(behaviour, count):
    service, poll = workspace(count, behaviour)
    service.submit(*poll.ids[::2])
    poll.round()
    assert len(poll.waiting) == count // 2


@behaviours
def test_arrivals_among_those_of_others_are_learnt(behaviour):
    service, poll = workspace(60, behaviour)
    others = [i for i in service.requests if i not in poll.ids and service.requests[i]["status"] == "pending"]
    service.submit(others[0], poll.ids[7], others[-1])
    poll.round()
    assert poll.phase(poll.ids[7]) == "arrived"


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_an_arrival_among_more_deletions_is_learnt(order):
    service = FakeService(order=order)
    poll = Poll(service, service.make(500, age=7200))
    service.submit(*poll.ids[100:400])
    poll.round()
    service.delete(*poll.ids[200:203])
    late = poll.ids[3] if order == "newest" else poll.ids[-3]
    service.submit(late)
    poll.round()
    assert poll.phase(late) == "arrived"


@behaviours
@pytest.mark.parametrize("word", ["cancelled", "expired"])
@counts
def test_one_that_ends_otherwise_is_learnt_by_a_patrol(behaviour, count, word):
    service, poll = workspace(count, behaviour)
    service.set(word, poll.ids[0])
    pages = -(-len(service.requests) // service.size)
    assert poll.rounds_until(known_as(poll, poll.ids[:1], word), most=10 * (pages + 2))


@behaviours
@counts
def test_one_that_is_deleted_or_never_was_ours_is_learnt_by_a_patrol(behaviour, count):
    service, poll = workspace(count, behaviour)
    poll.ids.append("req_of_others")
    service.delete(poll.ids[0])
    pages = -(-len(service.requests) // service.size)
    gone = [poll.ids[0], "req_of_others"]
    assert poll.rounds_until(known_as(poll, gone, "deleted"), most=10 * (pages + 2))
    assert len(poll.waiting) == count - 1


@behaviours
@counts
def test_an_unknown_word_ends_nothing(behaviour, count):
    service, poll = workspace(count, behaviour)
    service.set("reviewing", *poll.ids)
    for _ in range(25):
        poll.round()
    assert poll.waiting == poll.ids
    service.submit(*poll.ids)
    assert poll.rounds_until(lambda: not poll.waiting, most=2)


@pytest.mark.parametrize("words", [("completed",), ("submitted", "completed"), ("Submitted",)])
@pytest.mark.parametrize("behaviour", [{}, {"filters": "ignores"}, {"filters": "refuses"}, {"size": 25}])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_another_word_for_submitted_is_learnt_by_a_patrol_and_then_at_once(behaviour, count, words):
    service, poll = workspace(count, behaviour | {"submitted": words})
    first = poll.ids[: min(4, count)]
    service.submit(*first)
    pages = -(-len(service.requests) // service.size)
    assert poll.rounds_until(known_as(poll, first, "arrived"), most=10 * (pages + 2))
    if len(poll.waiting) > 4:
        poll.round()
        then = poll.waiting[:4]
        service.submit(*then)
        assert poll.rounds_until(known_as(poll, then, "arrived"), most=2)


@pytest.mark.parametrize("count", [10, 1000, 5000])
def test_an_hour_without_news_takes_one_call_a_minute_and_a_patrol_now_and_then(count):
    service = FakeService()
    service.make(200, status="submitted", age=86400)
    poll = Poll(service, service.make(count, age=300))
    assert sum(len(poll.round()) for _ in range(60)) <= 70


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_thousand_waits_half_of_which_arrive_take_few_calls_in_an_hour(order):
    service = FakeService(order=order)
    poll = Poll(service, service.make(1000, age=300))
    picked = random.Random(1).sample(poll.ids, 500)
    calls = 0
    for minute in range(60):
        service.submit(*picked[minute * 500 // 60 : (minute + 1) * 500 // 60])
        calls += len(poll.round())
        assert len(poll.waiting) == 1000 - (minute + 1) * 500 // 60
    assert calls <= 200


def test_a_thousand_waits_on_a_list_that_does_not_filter_take_as_many_calls_as_pages():
    service = FakeService(filters="ignores", since="ignores", total=None)
    poll = Poll(service, service.make(1000, age=300))
    poll.round()
    for _ in range(10):
        assert len(poll.round()) <= 11


@behaviours
@counts
def test_a_sweep_never_takes_more_calls_than_asking_for_each_and_a_patrol(behaviour, count):
    _, poll = workspace(count, behaviour)
    for _ in range(25):
        assert len(poll.round()) <= count + 2


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_are_asked_for_singly(count):
    service, poll = workspace(count, {})
    assert {call.path for call in service.calls} == {f"/photo-requests/{i}" for i in poll.ids}


@behaviours
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("fail_at", range(6))
def test_what_a_lost_call_hid_is_learnt_by_the_next_sweep(behaviour, known, fail_at):
    service, poll = workspace(250, behaviour | {"size": 50}, known=known)
    service.submit(*poll.ids[::3])
    try:
        poll.round(fail_at=fail_at)
    except ServiceError:
        assert len(service.calls) > 0
    poll.round()
    assert len(poll.waiting) == 250 - len(poll.ids[::3])


def test_a_patrol_goes_on_after_a_lost_call():
    service, poll = workspace(250, {})
    service.set("cancelled", poll.ids[0])
    lost = 0
    for _ in range(60):
        try:
            poll.round(fail_at=1)
        except ServiceError:
            lost += 1
            poll.round()
        if lost == 2:
            break
    assert poll.rounds_until(known_as(poll, poll.ids[:1], "cancelled"), most=60)


@pytest.mark.parametrize("jump", [-90.0, -3600.0, -86400.0, 86400.0, 10 * 365 * 86400.0])
@pytest.mark.parametrize("behaviour", [{}, {"filters": "ignores"}, {"filters": "refuses"}])
@pytest.mark.parametrize("count", [3, 20, 150])
def test_a_clock_that_jumps_hides_nothing(behaviour, count, jump):
    service, poll = workspace(count, behaviour)
    poll.round(after=jump)
    service.submit(poll.ids[0])
    poll.round()
    assert poll.phase(poll.ids[0]) == "arrived"
    if count > 3:
        service.delete(poll.ids[1])
        assert poll.rounds_until(known_as(poll, poll.ids[1:2], "deleted"), most=50)


def test_a_page_of_ten_thousand_is_one_call():
    service = FakeService(size=10_000)
    service.page = lambda query: FakeService.page(service, query | {"per_page": "10000"})  # type: ignore[method-assign]
    poll = Poll(service, service.make(10_000, age=300))
    service.submit(poll.ids[-1])
    assert len(poll.round()) == 1
    assert poll.phase(poll.ids[-1]) == "arrived"


class Overlapping(FakeService):
    """A list each of whose pages begins with the end of the one before, and whose last items are on none."""

    def page(self, query):
        items = [item for item in self._ordered() if query.get("status") in {None, item["status"]}]
        start = (int(query.get("page", 1)) - 1) * 20
        more = start + 25 < len(items) - 5
        return {
            "data": [dict(item) for item in items[start : start + 25]],
            "meta": {"total": len(items)},
            "links": {"next": f"?page={start // 20 + 2}" if more else None},
        }


@pytest.mark.parametrize("count", [50, 103])
def test_items_that_pages_repeat_or_leave_out_are_learnt(count):
    service = Overlapping()
    poll = Poll(service, service.make(count), known=False)
    poll.round()
    service.submit(*poll.ids[::5])
    left = count - len(poll.ids[::5])
    assert poll.rounds_until(lambda: len(poll.waiting) == left, most=2)
    service.delete(poll.waiting[3])
    assert poll.rounds_until(lambda: len(poll.waiting) == left - 1, most=10 * 8)


class Endless(FakeService):
    """A list that always has another page of requests nobody knows."""

    def page(self, query):
        number = int(query.get("page", 1))
        return {
            "data": [
                {"id": f"other_{number}_{n}", "status": query.get("status", "pending")} for n in range(100)
            ],
            "meta": {},
            "links": {"next": f"?page={number + 1}"},
        }


@pytest.mark.parametrize("count", [4, 50, 300])
def test_a_list_without_end_takes_few_calls(count):
    service = Endless()
    poll = Poll(service, service.make(count))
    for _ in range(30):
        assert len(poll.round()) <= 2 * count + 25


@pytest.mark.parametrize(
    "data",
    [None, "text", 5, {}, {"items": []}, [None, 5, "x", ["y"]], [{}], [{"id": None}], [{"name": "a"}]],
    ids=str,
)
def test_a_list_that_is_none_is_done_without(data):
    class Odd(FakeService):
        def page(self, query):
            return {"data": data, "meta": {}, "links": {}}

    service = Odd()
    poll = Poll(service, service.make(10))
    for _ in range(2):
        poll.round()
    service.submit(poll.ids[3])
    assert poll.rounds_until(known_as(poll, poll.ids[3:4], "arrived"), most=11)


@pytest.mark.parametrize("total", ["many", -1, True, 1.5, None, [], 10**30])
@pytest.mark.parametrize("count", [20, 150])
def test_a_total_that_means_nothing_is_not_believed(total, count):
    class Odd(FakeService):
        def page(self, query):
            reply = super().page(query)
            reply["meta"]["total"] = total
            return reply

    service = Odd()
    poll = Poll(service, service.make(count))
    for _ in range(2):
        poll.round()
    service.submit(poll.ids[0], poll.ids[-1])
    poll.round()
    assert len(poll.waiting) == count - 2


def test_ids_that_the_service_gives_as_numbers_are_the_same_ids():
    class Numbers(FakeService):
        def page(self, query):
            reply = super().page(query)
            for item in reply["data"]:
                item["id"] = int(item["id"].removeprefix("req_"))
            return reply

    service = Numbers()
    made = service.make(20)
    for found in made:
        service.requests[found.removeprefix("req_")] = service.requests.pop(found) | {"id": found}
    poll = Poll(service, [found.removeprefix("req_") for found in made])
    poll.round()
    service.requests["7"]["status"] = "submitted"
    poll.round()
    assert poll.phase("7") == "arrived"


def test_those_who_join_later_are_looked_at_by_the_next_sweep():
    service, poll = workspace(20, {})
    joined = service.make(30)
    service.submit(joined[4])
    poll.ids += joined
    poll.round()
    assert set(joined) <= poll.states.keys()
    assert poll.phase(joined[4]) == "arrived"


def test_those_who_leave_are_not_asked_for_any_more():
    _, poll = workspace(3, {})
    left = poll.ids.pop()
    assert f"/photo-requests/{left}" not in [call.path for call in poll.round()]


def test_a_refused_list_is_tried_again_after_a_day():
    service, poll = workspace(30, {"filters": "refuses", "since": "refuses"})
    for _ in range(3):
        poll.round(after=300)
    service.filters = service.since = "honours"
    for _ in range(100):
        poll.round(after=900)
    assert len(poll.round(after=MINUTE)) == 1
