"""A watch of a whole workspace: each submission is found at the next look, in few calls, whatever the list does."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.submitted_requests import WALK_EVERY, SubmittedRequestPoller
from airflow_provider_visio.exceptions import (
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    VisioProviderError,
)
from api.test_photo_request_poller import BEHAVIOURS, MINUTE, FakeService, behaviours

DAY = 86400.0


class Watch:
    """A watch of such a service; ``look`` returns the calls that one look made."""

    def __init__(self, service: FakeService, *, max_age: float = 30 * DAY) -> None:
        self.service = service
        self.max_age = max_age
        self.submitted: dict[str, float] | None = None
        self.found: list[str] = []
        self.poller = SubmittedRequestPoller(self._publish, self.found.append)

    def _publish(self, submitted: dict[str, float]) -> None:
        self.submitted = submitted

    def look(self, *, after: float = MINUTE, fail_at: int | None = None) -> list[Call]:
        self.service.now += after
        before = len(self.service.calls)
        query = self.poller.look((self.service.now - self.max_age) // DAY * DAY, self.service.now)
        try:
            call = next(query)
            while True:
                assert len(self.service.calls) - before < 2000, "a look without end"
                try:
                    if fail_at is not None and len(self.service.calls) - before == fail_at:
                        raise ServiceError("503", status=503)
                    envelope = self.service.answer(call)
                except VisioProviderError as error:
                    call = query.throw(error)
                else:
                    call = query.send(envelope)
        except StopIteration:
            pass
        return self.service.calls[before:]


def workspace(behaviour: dict[str, Any]) -> tuple[Watch, list[str]]:
    """Return a watch that has looked once, and the ids of open requests, old and new."""
    service = FakeService(**behaviour)
    service.make(130, status="submitted", age=2 * DAY)
    opened = service.make(5, age=DAY)
    service.make(130, status="submitted", age=7000)
    service.make(20, status="expired", age=6000)
    opened += service.make(5, age=3000)
    watch = Watch(service)
    watch.look()
    return watch, opened


@behaviours
def test_a_submission_is_found_by_the_next_look(behaviour):
    watch, opened = workspace(behaviour)
    assert watch.submitted is not None
    assert len(watch.submitted) == 260
    assert watch.found == [], "the first look finds no news"
    for place in (9, 0, 5):
        watch.service.submit(opened[place])
        watch.look()
        assert opened[place] in watch.submitted
    new = watch.service.make(2)
    watch.service.submit(*new)
    watch.look()
    assert watch.found == [opened[9], opened[0], opened[5], *sorted(new, key=watch.found.index)]
    assert set(watch.submitted) >= {*new}


@behaviours
def test_a_deletion_beside_a_submission_hides_it_for_some_looks_at_most(behaviour):
    watch, opened = workspace(behaviour)
    watch.look()
    gone = next(iter(watch.submitted or {}))
    watch.service.delete(gone)
    watch.service.submit(opened[0])
    for _ in range(20):
        watch.look()
    assert watch.found == [opened[0]]


FILTERED = [
    "filters and counts",
    "the oldest first",
    "in no order",
    "ignores created_after",
    "refuses created_after",
    "has cursors",
]


@pytest.mark.parametrize("name", FILTERED)
def test_a_quiet_look_costs_one_call(name):
    watch, opened = workspace(BEHAVIOURS[name])
    watch.look()
    calls = [len(watch.look()) for _ in range(60)]
    walks = 60 * MINUTE / WALK_EVERY
    assert sum(calls) <= 60 + walks
    assert max(calls) == 2
    watch.service.submit(opened[0])
    # One page for each hundred of the list, where it cannot be known on which page the new one is.
    assert len(watch.look()) <= 3 + 1


def test_a_list_that_does_not_filter_costs_its_pages():
    watch, _ = workspace(BEHAVIOURS["ignores the status"])
    watch.look()
    assert {len(watch.look()) for _ in range(5)} == {3}
    assert not watch.poller.lists.may_filter


@pytest.mark.parametrize("filters", ["honours", "ignores"])
def test_a_service_with_another_word_for_submitted(filters):
    service = FakeService(filters=filters, submitted=("completed",))
    service.submit(*service.make(3, age=DAY)[:2])
    watch = Watch(service)
    watch.look()
    assert len(watch.submitted or {}) == 2
    service.submit("req_3")
    watch.look()
    assert watch.found == ["req_3"]


def test_a_word_that_nobody_has_seen_is_learnt_by_the_walk():
    service = FakeService(submitted=("completed",))
    (only,) = service.make(1, age=DAY)
    watch = Watch(service)
    watch.look()
    service.submit(only)
    watch.look()
    assert watch.found == []
    watch.look(after=WALK_EVERY)
    assert watch.found == [only]


def test_a_look_that_breaks_off_has_found_nothing_and_the_next_one_finds_it():
    watch, opened = workspace({"order": "oldest"})
    watch.look()
    watch.service.submit(opened[9])
    with pytest.raises(ServiceError):
        watch.look(fail_at=1)
    watch.look()
    assert watch.found == [opened[9]]


def test_a_first_look_that_breaks_off_is_no_first_look():
    service = FakeService()
    service.make(260, status="submitted", age=DAY)
    watch = Watch(service)
    with pytest.raises(ServiceError):
        watch.look(fail_at=2)
    assert watch.submitted is None
    watch.look()
    assert (len(watch.submitted or {}), watch.found) == (260, [])


def test_a_first_look_whose_second_page_is_refused_is_none(caplog):
    service = FakeService()
    service.make(260, status="submitted", age=DAY)
    watch = Watch(service)
    whole = service.page

    def page(query: dict[str, str]) -> dict[str, Any]:
        if query.get("page") == "2":
            raise NotFoundError("404", status=404)
        return whole(query)

    service.page = page  # type: ignore[method-assign]
    watch.look()
    assert watch.submitted is None
    assert "no end that can be read" in caplog.text
    service.page = whole  # type: ignore[method-assign]
    watch.look()
    assert (len(watch.submitted or {}), watch.found) == (260, [])


def test_requests_of_long_ago_are_not_read():
    service = FakeService()
    service.make(1000, status="submitted", age=100 * DAY)
    service.make(3, status="submitted", age=DAY)
    watch = Watch(service)
    assert len(watch.look()) == 1
    assert len(watch.submitted or {}) == 3


def test_a_new_day_reads_the_list_from_its_start_and_finds_no_old_news():
    watch, _ = workspace({})
    watch.look()
    watch.look(after=DAY)
    assert watch.found == []


def test_a_request_without_a_time_of_creation_counts_from_when_it_was_seen():
    service = FakeService(since="ignores")
    (only,) = service.make(1)
    del service.requests[only]["created_at"]
    service.requests[only]["status"] = "submitted"
    service._ordered = lambda: list(service.requests.values())  # type: ignore[method-assign]
    watch = Watch(service)
    watch.look()
    seen = service.now
    watch.look()
    assert watch.submitted == {only: seen}


def test_a_list_that_is_refused_fails_the_look(monkeypatch):
    service = FakeService()
    watch = Watch(service)
    watch.look()

    def refuse(call: Call) -> Any:
        service.calls.append(call)
        raise PermissionDeniedError("403", status=403)

    monkeypatch.setattr(service, "answer", refuse)
    with pytest.raises(PermissionDeniedError):
        watch.look()
