"""What makes a test a property: many cases from a seed, counted, each inside a time limit."""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

# Another seed makes other cases; the same one makes the same, so that a failure can be run again.
SEED = int(os.environ.get("PROPERTIES_SEED") or "4")
# The part of the cases that is run; CI has time for half of them.
SHARE = float(os.environ.get("PROPERTIES_SHARE") or "1")
# Far more than a case takes on a busy machine; one that takes longer hangs.
LONGEST_CASE = 20.0

held: Counter[str] = Counter()


def cases(count: int, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test with so many cases."""

    def property_of(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def case(*args: Any, **values: Any) -> None:
            before = signal.signal(signal.SIGALRM, _hangs)
            signal.setitimer(signal.ITIMER_REAL, LONGEST_CASE)
            try:
                test(*args, **values)
                held[test.__name__] += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)

        chosen = settings(
            max_examples=max(1, round(count * SHARE)),
            deadline=None,
            database=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        )
        return seed(SEED)(chosen(given(**strategies)(case)))

    return property_of


def _hangs(signum: int, frame: FrameType | None) -> None:
    # Not an Exception, which the code under test might take for its own.
    pytest.fail(f"a case takes longer than {LONGEST_CASE:g} s")
