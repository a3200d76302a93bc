"""What was written down by an earlier process, and may be anything by now, is taken up or passed over."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

from hypothesis import strategies as st

from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.rate_limit import RateLimit, SharedRateLimit
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.idempotency.record import Intent, Record
from airflow_provider_visio.sensors.base import wait_started_at
from properties.cases import cases
from properties.values import NUMBERS, json_value, leaf, text

NOW = 1767225600.0
LIMITS = ((60.0, 60), (3600.0, 1000))

moment = st.sampled_from(NUMBERS) | leaf
record = st.fixed_dictionaries(
    {
        "intent": st.fixed_dictionaries({"task": text, "input": text}) | json_value,
        "asked_at": moment,
        "wait_from": moment,
        "ask": text,
    },
    optional={
        "run": leaf,
        "sent": json_value,
        "id": json_value,
        "over": json_value,
    },
)
window = st.tuples(st.sampled_from([60.0, 3600.0, 60, "60"]), leaf, leaf, leaf).map(list)
past = st.floats(NOW - 4000, NOW)
budget_state = st.fixed_dictionaries(
    {},
    optional={
        "calls": st.lists(past, max_size=70) | st.lists(leaf, max_size=3) | json_value,
        "relieved": leaf,
        "latest": leaf,
        "closed_until": leaf,
        "windows": st.lists(window | json_value, max_size=3) | json_value,
    },
)
place = st.tuples(text, text, text, st.integers(-1, 3))
KEYS = ["instructions", "items", "metadata", "recipient_email"]
asked = st.dictionaries(
    st.sampled_from(KEYS), json_value | st.dictionaries(leaf, leaf, max_size=2), max_size=3
)


def check_moment(moment: float) -> None:
    # Any later one is none that a date could be written for.
    assert 0 < moment < 253_402_300_800


@cases(800, value=record | json_value)
def test_any_record_is_taken_up_or_passed_over(value):
    found = Record.from_json(value)
    if found is None:
        return
    check_moment(found.asked_at)
    check_moment(found.wait_from)
    assert found.ask
    assert found.id is None or found.id
    assert Record.from_json(json.loads(json.dumps(found.as_json()))) == found


def intent_at(place, asked) -> Intent:
    dag, run, task, index = place
    return Intent.of({"ti": SimpleNamespace(dag_id=dag, run_id=run, task_id=task, map_index=index)}, asked)


@cases(800, place=place, other=place, asked=asked)
def test_an_intent_is_the_same_again_and_another_at_another_place(place, other, asked):
    intent = intent_at(place, asked)
    assert intent == intent_at(place, dict(reversed(asked.items())))
    assert (intent_at(other, asked).task == intent.task) == (place == other)
    assert intent_at(other, asked).input == intent.input
    tag = Record(intent, NOW, NOW).tag
    assert json.loads(json.dumps(tag)) == tag


@cases(800, state=budget_state | json_value, later=st.sampled_from([0.0, 30.0, 5000.0, -5000.0]))
def test_any_budget_is_taken_over_and_gives_turns(state, later):
    budget = RateLimit(LIMITS)
    budget.restore(state)
    now = NOW + later
    turn = budget.next_turn(now)
    assert math.isfinite(turn)
    assert turn >= now
    budget.take(turn)
    assert budget.next_turn(now) >= turn or len(budget.as_state()["calls"]) < 60
    assert all(count >= 0 for count in budget.left(now))
    again = RateLimit(LIMITS)
    again.restore(json.loads(json.dumps(budget.as_state())))
    assert again.left(now) == budget.left(now)


@cases(
    400,
    content=(budget_state | json_value).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40),
)
def test_any_book_on_disk_is_read_and_written_again(content):
    config = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", "k", limits=LIMITS)
    ledger = SharedRateLimit(config)
    assert ledger._path is not None
    ledger._path.write_bytes(content)
    assert ledger.book(NOW, 0.0) >= 0
    assert isinstance(json.loads(ledger._path.read_bytes()), dict)


@cases(200, kept=leaf | st.fixed_dictionaries({"at": moment, "run": st.just(2) | leaf}))
def test_a_wait_began_in_the_past_whatever_was_kept(kept):
    store = SimpleNamespace(get=lambda _: kept, set=lambda *_, **__: None)
    from airflow_provider_visio import clock

    since = wait_started_at({"ti": SimpleNamespace(max_tries=2), "task_state_store": store})
    assert 0 < since <= clock.now()
