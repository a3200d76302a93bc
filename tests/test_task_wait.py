"""What the log of a waiting task says."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.task_wait import PhotoRequestWait, describe_end
from airflow_provider_visio.waiting import Goal, Verdict

THIRTY = tuple(f"req_{n}" for n in range(30))


@pytest.mark.parametrize(
    ("verdict", "goal", "text"),
    [
        (Verdict("done", THIRTY[:1]), Goal(), "req_0 has arrived."),
        (Verdict("done", THIRTY), Goal(), "All 30 have arrived."),
        (
            Verdict("done", THIRTY[:25], waiting=THIRTY[25:]),
            Goal(proceed=True),
            "The deadline has passed: 25 of 30 arrived, 5 still open; the task continues.",
        ),
        (
            Verdict("done", THIRTY[:25], waiting=THIRTY[25:]),
            Goal(needed=20),
            "Enough have arrived: 25 of 30 arrived, 5 still open.",
        ),
        (
            Verdict("done", THIRTY[:28], ended={"req_28": "expired", "req_29": "deleted"}),
            Goal(proceed=True),
            "No more can arrive: 28 of 30 arrived, 1 expired, 1 deleted; the task continues.",
        ),
        (
            Verdict("failed", ended={"req_0": "expired"}, waiting=("req_1",)),
            Goal(),
            "Too few can still arrive: 0 of 2 arrived, 1 expired, 1 still open.",
        ),
        (
            Verdict("timeout", waiting=("req_1",)),
            Goal(),
            "The deadline has passed: 0 of 1 arrived, 1 still open.",
        ),
        (
            Verdict("trouble", waiting=("req_1",), trouble="ServiceError (503)"),
            Goal(),
            "The service could not be asked (ServiceError (503)): 0 of 1 arrived, 1 still open.",
        ),
    ],
)
def test_the_end_of_a_wait_is_a_sentence(verdict, goal, text):
    assert describe_end(verdict, goal) == text


def test_a_wait_says_what_it_waits_for_and_how_often_it_looks(clock, caplog):
    caplog.set_level(logging.INFO)
    wait = PhotoRequestWait(VisionoHook(), 60.0)
    wait.announce(THIRTY, clock.now() + 7200, "in the triggerer")
    wait.announce(["req_1"], None, "on this worker")
    assert caplog.messages[-2:] == [
        (
            "Waiting for req_0, req_1, req_2, req_3, req_4 and 25 more in the triggerer, for 7200 s at most; "
            "looking every 60 s."
        ),
        "Waiting for req_1 on this worker, without a deadline; looking every 60 s.",
    ]
