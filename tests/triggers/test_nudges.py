"""The decisions about webhooks: when to look, at what, and how far to rely on them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_visio.triggers import nudges as module
from airflow_provider_visio.triggers.nudges import (
    BURST,
    CALLS_AN_HOUR,
    GATHER,
    UNDER_WAY,
    WITHOUT_CALLS,
    CallBudget,
    Nudges,
)
from airflow_provider_visio.webhooks.inbox import Inbox

HOUR = 3600.0
WAITED = {f"req_{n}" for n in range(20)}


class Service:
    """The inbox of a connection."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.inbox = Inbox("start", clock.now())

    def sends(self, *ids: str, kind: str = "photo_request") -> Inbox:
        for one in ids:
            self.inbox = self.inbox.after([f"{kind}:{one}"], self.clock.now())
        return self.inbox


@pytest.fixture
def service(clock):
    return Service(clock)


@pytest.fixture
def nudges(service):
    """A poll that has begun, has read the inbox, and has looked a minute ago."""
    nudges = Nudges("photo_request", WAITED)
    nudges.slow_interval = 300.0
    nudges.read(service.inbox)
    nudges.begin_look(whole=True)
    service.clock.sleep(60)
    return nudges


def asked(nudges: Nudges) -> Any:
    return nudges.begin_look(whole=False)


def test_nothing_is_asked_for_without_a_nudge(nudges, service):
    nudges.read(service.inbox)
    assert nudges.look_in() == math.inf


def test_a_few_ids_are_asked_for_singly_and_at_once(nudges, service):
    nudges.read(service.sends("req_1", "req_2"))
    assert nudges.look_in() == 0
    assert sorted(asked(nudges)) == ["req_1", "req_2"]
    assert nudges.look_in() == math.inf


def test_many_ids_take_one_look_at_everything(nudges, service):
    nudges.read(service.sends(*WAITED))
    assert asked(nudges) is None


def test_ids_that_nobody_waits_for_cost_nothing(nudges, service):
    nudges.read(service.sends(*(f"foreign_{n}" for n in range(50))))
    nudges.read(service.sends("req_1", kind="permanent_link"))
    assert nudges.look_in() == math.inf


def test_any_id_makes_a_watcher_look_at_everything_that_it_watches(service, clock):
    watcher = Nudges("photo_request", None)
    watcher.read(service.inbox)
    watcher.begin_look(whole=True)
    clock.sleep(60)
    watcher.read(service.sends("foreign"))
    assert watcher.look_in() == 0


@pytest.mark.parametrize("ids", [["*"], [f"foreign_{n}" for n in range(150)]], ids=["no id", "too many"])
def test_where_ids_are_missing_the_poll_looks_at_everything(nudges, service, ids):
    nudges.read(service.sends(*ids))
    assert nudges.look_in() == 0
    assert asked(nudges) is None


def test_an_id_whose_wait_has_ended_is_not_asked_for(service, clock):
    waited = {"req_1", "req_2"}
    nudges = Nudges("photo_request", waited)
    nudges.read(service.sends("req_1", "req_2"))
    waited.remove("req_1")
    assert asked(nudges) == ["req_2"]


def test_nudges_within_a_few_seconds_cost_one_look(nudges, service, clock):
    looks = 0
    for n in range(30):
        nudges.read(service.sends(f"req_{n % 20}"))
        if nudges.look_in() == 0:
            asked(nudges)
            looks += 1
        clock.sleep(0.1)
    assert looks == 1
    assert nudges.look_in() == pytest.approx(GATHER - 3.0, abs=0.01)


def test_a_replay_costs_one_look_more_at_most(nudges, service, clock):
    nudges.read(service.sends("req_1"))
    assert asked(nudges) == ["req_1"]
    clock.sleep(10)
    nudges.read(service.sends("req_1", "req_1", "req_1"))
    assert asked(nudges) == ["req_1"]
    clock.sleep(10)
    assert nudges.look_in() == math.inf


def test_a_wait_that_joins_hears_of_what_was_named_before(nudges, service):
    """Between the worker's look and the subscription, nobody waited for the id."""
    nudges.read(service.sends("late"))
    WAITED.add("late")
    try:
        nudges.joined(["late", "req_1"])
        assert asked(nudges) == ["late"]
    finally:
        WAITED.remove("late")


def test_a_poll_that_no_webhook_is_about_goes_on_as_without(service):
    nudges = Nudges()
    nudges.joined(["req_1"])
    nudges.found("req_1")
    assert nudges.look_in() == math.inf
    assert nudges.begin_look(whole=False) == [] or nudges.begin_look(whole=True) is None
    assert nudges.interval(60) == 60


# The calls that nudges may spend.


def test_nudges_spend_a_burst_and_then_so_many_calls_an_hour(clock):
    budget, spent, start = CallBudget(), 0, clock.now()
    while clock.now() < start + 2 * HOUR:
        if budget.delay():
            clock.sleep(budget.delay())
        budget.spend(1)
        spent += 1
    assert spent == pytest.approx(BURST + 2 * CALLS_AN_HOUR, abs=2)


def test_an_empty_budget_delays_the_look_and_loses_no_nudge(nudges, service, clock):
    nudges.budget.spend(int(BURST))
    nudges.read(service.sends("req_1"))
    assert nudges.look_in() == pytest.approx(HOUR / CALLS_AN_HOUR)
    clock.sleep(nudges.look_in())
    assert nudges.look_in() == pytest.approx(0, abs=1e-6)
    assert asked(nudges) == ["req_1"]


def test_without_calls_left_nudges_are_served_as_often_as_a_poll_without_webhooks_looks(
    nudges, service, clock
):
    nudges.interval(20)
    nudges.budget.spend(2 * int(BURST))
    nudges.read(service.sends("req_1"))
    assert nudges.look_in() == 0, "the last look was a minute ago"
    asked(nudges)
    nudges.read(service.sends("req_2"))
    assert nudges.look_in() == pytest.approx(20 * WITHOUT_CALLS)


def test_hours_of_many_nudges_leave_no_debt_of_hours(clock):
    budget = CallBudget()
    for _ in range(500):
        budget.spend(3)
    assert budget.delay() == pytest.approx((BURST + 1) * HOUR / CALLS_AN_HOUR)


def test_a_look_that_costs_more_than_is_left_is_paid_for_later(clock):
    budget = CallBudget()
    budget.spend(int(BURST) + 9)
    assert budget.delay() == pytest.approx(10 * HOUR / CALLS_AN_HOUR)


# How far webhooks are relied on.


def test_the_poll_slows_down_while_a_delivery_is_less_than_a_day_old(nudges, clock):
    assert nudges.interval(60) == 300
    assert nudges.interval(900) == 900
    clock.sleep(86_400)
    assert nudges.interval(60) == 60


def test_without_an_inbox_the_poll_keeps_its_pace(clock):
    nudges = Nudges("photo_request", WAITED)
    nudges.slow_interval = 300.0
    assert nudges.interval(60) == 60
    nudges.found("req_1")
    assert nudges.judged_in() == math.inf


def announced_and_found(nudges: Nudges, service: Service, one: str) -> None:
    nudges.read(service.sends(one))
    asked(nudges)
    nudges.found(one)


def test_a_confirmed_nudge_is_relied_on_for_good(nudges, service, clock):
    clock.sleep(2 * 86_400)
    announced_and_found(nudges, service, "req_1")
    clock.sleep(3 * 86_400)
    assert nudges.interval(60) == 300


def test_something_unannounced_ends_the_trust_until_a_nudge_is_confirmed(nudges, service, clock, caplog):
    caplog.set_level("INFO", module.__name__)
    nudges.begin_look(whole=True)
    nudges.found("req_1")
    nudges.found("req_2")
    assert nudges.interval(60) == 300, "its delivery may be under way"
    assert nudges.judged_in() == UNDER_WAY
    clock.sleep(UNDER_WAY)
    assert nudges.interval(60) == 60
    service.sends(kind="photo_request")
    clock.sleep(60)
    nudges.read(service.sends("foreign"))
    assert nudges.interval(60) == 60, "a delivery alone proves nothing now"
    announced_and_found(nudges, service, "req_3")
    assert nudges.interval(60) == 300
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "A poll found something that no webhook had announced",
        "A webhook has announced what a poll found",
    ]


@pytest.mark.parametrize("named", [["req_1"], ["*"]])
def test_a_delivery_that_was_under_way_confirms(nudges, service, clock, named):
    nudges.begin_look(whole=True)
    nudges.found("req_1")
    clock.sleep(UNDER_WAY - 1)
    nudges.read(service.sends(*named))
    clock.sleep(60)
    assert nudges.interval(60) == 300


def test_what_a_look_finds_while_its_nudge_waits_for_a_call_is_announced(nudges, service, clock):
    nudges.budget.spend(int(BURST))
    nudges.read(service.sends("req_1"))
    nudges.begin_look(whole=True)
    nudges.found("req_1")
    clock.sleep(60)
    assert nudges.interval(60) == 300


def test_a_nudge_that_comes_during_the_look_announces(nudges, service, clock):
    nudges.begin_look(whole=True)
    nudges.read(service.sends("req_1"))
    nudges.found("req_1")
    clock.sleep(60)
    assert nudges.interval(60) == 300


def test_what_was_announced_before_an_earlier_look_does_not_count(nudges, service, clock):
    """A link has many submissions: the announcement of one is not that of the next."""
    announced_and_found(nudges, service, "req_1")
    nudges.begin_look(whole=True)
    nudges.found("req_1")
    clock.sleep(UNDER_WAY)
    assert nudges.interval(60) == 60
