"""Rate limits as in Laravel: fixed windows that start with the first call; refused calls are not counted."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RateDecision:
    """Whether a call may pass, and the window that the reply's headers describe."""

    allowed: bool
    limit: int
    remaining: int
    resets_at: float


class RateLimiter:
    """The call counts of one caller."""

    def __init__(self) -> None:
        self._windows: dict[float, tuple[float, int]] = {}

    def admit(self, limits: Sequence[tuple[float, int]], now: float) -> RateDecision:
        """Count one call against every `(seconds, limit)`, or refuse it.

        The reply describes the window that refused, else the first one.
        """
        state = []
        for seconds, limit in limits:
            ends, used = self._windows.get(seconds, (0.0, 0))
            if now >= ends:
                ends, used = now + seconds, 0
            if used >= limit:
                return RateDecision(allowed=False, limit=limit, remaining=0, resets_at=ends)
            state.append((seconds, limit, ends, used + 1))
        for seconds, _, ends, used in state:
            self._windows[seconds] = (ends, used)
        _, limit, ends, used = state[0]
        return RateDecision(allowed=True, limit=limit, remaining=limit - used, resets_at=ends)
