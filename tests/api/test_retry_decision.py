"""When a failed call is sent again, as a table."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api.call import call
from airflow_provider_visio.api.retry import Again, History, decide
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
)

GET, POST, PATCH, DELETE = (call(method, "/x") for method in ("GET", "POST", "PATCH", "DELETE"))


def again(error, request, history=None, *, max_attempts=5, rate_limit_wait=120.0) -> Again | None:
    return decide(
        error, request, history or History(), max_attempts=max_attempts, rate_limit_wait=rate_limit_wait
    )


NEVER_REACHED = ConnectionFailedError("x")
LOST = ConnectionFailedError("x", ambiguous=True)
BROKEN = UnexpectedReplyError("x", status=200)
REDIRECT = UnexpectedReplyError("x", status=302)


@pytest.mark.parametrize(
    ("error", "request_", "resent"),
    [
        (NEVER_REACHED, GET, True),
        (NEVER_REACHED, POST, True),
        (NEVER_REACHED, PATCH, True),
        (NEVER_REACHED, DELETE, True),
        (LOST, POST, False),
        (LOST, PATCH, False),
        (ServiceError("x", status=503), GET, True),
        (ServiceError("x", status=503), DELETE, True),
        (ServiceError("x", status=503, ambiguous=True), POST, False),
        (ServiceError("x", status=503, ambiguous=True), PATCH, False),
        (BROKEN, GET, True),
        (BROKEN, DELETE, True),
        (BROKEN, POST, False),
        (REDIRECT, GET, False),
        (REDIRECT, DELETE, False),
        (InvalidRequestError("x", status=422), GET, False),
        (InvalidRequestError("x", status=400), POST, False),
        (PermissionDeniedError("x", status=403), GET, False),
        (NotFoundError("x", status=404), GET, False),
        (NotFoundError("x", status=404), DELETE, False),
        (AuthenticationError("x", status=401), GET, True),
        (AuthenticationError("x", status=401), POST, True),
        (RateLimitedError("x", status=429), GET, True),
        (RateLimitedError("x", status=429), POST, True),
        (ValueError("a bug of ours"), GET, False),
        (KeyboardInterrupt(), GET, False),
    ],
)
def test_a_first_failure_is_resent_where_that_is_safe(error, request_, resent):
    assert (again(error, request_) is not None) is resent


def test_a_401_reloads_the_connection_once_without_waiting():
    first = again(AuthenticationError("x"), POST)
    assert first is not None
    assert (first.wait, first.spread, first.reload) == (0.0, 0.0, True)
    assert again(AuthenticationError("x"), POST, first.history) is None


def test_only_a_401_reloads_the_connection():
    assert again(NEVER_REACHED, GET).reload is False
    assert again(RateLimitedError("x", retry_after=3), GET).reload is False


def test_failures_wait_longer_each_time_and_are_spread():
    history, waits = History(), []
    while (step := again(NEVER_REACHED, GET, history, max_attempts=10)) is not None:
        waits.append((step.wait, step.spread))
        history = step.history
    assert waits == [
        (0.25, 0.25), (0.5, 0.5), (1, 1), (2, 2), (4, 4), (8, 8), (15, 15), (15, 15), (15, 15),
    ]  # fmt: skip


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_call_is_sent_so_often_at_most(attempts):
    history, sent = History(), 1
    while (step := again(NEVER_REACHED, GET, history, max_attempts=attempts)) is not None:
        history, sent = step.history, sent + 1
    assert sent == attempts


@pytest.mark.parametrize(
    ("asked", "waited"), [(7.0, 7.0), (0.2, 1.0), (1.0, 1.0), (59.5, 59.5), (119.0, 119.0)]
)
def test_a_429_waits_as_long_as_it_asks_and_a_second_at_least(asked, waited):
    step = again(RateLimitedError("x", retry_after=asked), POST)
    assert step.wait == waited
    assert 0 <= step.spread <= 1


def test_a_429_that_does_not_say_backs_off_longer_each_time():
    history, waits = History(), []
    while (step := again(RateLimitedError("x"), GET, history, rate_limit_wait=300.0)) is not None:
        waits.append(step.wait)
        history = step.history
    assert waits[:6] == [1, 2, 4, 8, 16, 30]
    assert max(waits) == 30


def test_waiting_for_the_limit_does_not_use_up_attempts():
    step = again(RateLimitedError("x", retry_after=5), GET, max_attempts=1)
    assert step is not None
    assert step.history.failures == 0


@pytest.mark.parametrize(("asked", "allowed", "waits"), [(60, 120, 2), (121, 120, 0), (10, 0, 0), (1, 5, 5)])
def test_a_call_waits_so_long_for_the_limit_at_most(asked, allowed, waits):
    history, seen = History(), 0
    while (
        step := again(RateLimitedError("x", retry_after=asked), GET, history, rate_limit_wait=allowed)
    ) is not None:
        history, seen = step.history, seen + 1
    # The spread counts as well, so the last of them may not fit in.
    assert waits - 1 <= seen <= waits


@pytest.mark.parametrize("asked", [0.0, 5.0])
def test_even_unlucky_draws_stay_inside_the_longest_wait(asked):
    history, total = History(), 0.0
    while (step := again(RateLimitedError("x", retry_after=asked), GET, history)) is not None:
        history, total = step.history, total + step.wait + step.spread
    assert total <= 120.0


def asked_to_wait(seconds: float, *, status: int = 503) -> ServiceError:
    error = ServiceError("x", status=status)
    error.retry_after = seconds
    return error


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("seconds", [1.0, 20.0, 120.0])
def test_a_fault_waits_as_long_as_the_service_asks(status, seconds):
    step = again(asked_to_wait(seconds, status=status), GET)
    assert step is not None
    assert step.wait == seconds
    assert step.wait + step.spread <= 120.0
    assert step.history.failures == 1


def test_a_fault_that_asks_for_less_than_the_backoff_backs_off():
    assert again(asked_to_wait(0.1), GET) == again(ServiceError("x", status=503), GET)


def test_a_fault_that_asks_for_more_than_a_call_may_wait_is_given_up_at_once():
    assert again(asked_to_wait(121.0), GET) is None
    assert again(asked_to_wait(20.0), GET, History(limit_waited=101.0)) is None


def test_faults_that_ask_to_wait_use_up_attempts_and_the_longest_wait():
    history, sent, total = History(), 1, 0.0
    while (step := again(asked_to_wait(30.0), GET, history)) is not None:
        history, sent, total = step.history, sent + 1, total + step.wait + step.spread
    assert sent <= 5
    assert 90.0 <= total <= 120.0


def test_a_post_that_may_have_arrived_is_not_sent_again_after_the_wait():
    assert again(asked_to_wait(5.0), POST) is None
