"""The log of events (requests, links, exports) and of calls to the services."""

import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

_SIGNATURE = re.compile(r"(?i)(signature=)[^&]*")


@dataclass
class Call:
    """One HTTP call as the control interface shows it."""

    n: int
    service: str
    method: str
    path: str
    route: str | None
    at: float
    key_sent: bool
    status: int | None = None
    fault: int | None = None


class EventLog:
    """Numbered events and calls, and counters of calls by service, method and route."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._calls: list[Call] = []
        self.clear_counters()

    def clear_counters(self) -> None:
        """Set the counters to zero; the log of calls stays."""
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def record(self, moment: float, kind: str, subject: str, text: str, **more: object) -> None:
        """Add an event."""
        n = len(self._events) + 1
        self._events.append({"n": n, "at": moment, "kind": kind, "id": subject, "text": text, **more})

    def record_call(self, service: str, method: str, path: str, route: str | None, **more: Any) -> Call:
        """Log and count a call before it is answered."""
        shown = _SIGNATURE.sub(r"\1cut", path)
        call = Call(len(self._calls) + 1, service, method, shown, route, **more)
        self._calls.append(call)
        self._counts[service][f"{method} {route or '(unknown)'}"] += 1
        return call

    def count_refusal(self, service: str) -> None:
        """Count a call that the rate limit refused."""
        self._counts["refused_429"][service] += 1

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the events numbered above `after`."""
        return self._events[after:]

    def calls(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the calls numbered above `after`; a call without an answer has no status."""
        return [asdict(call) for call in self._calls[after:]]

    def counters(self) -> dict[str, dict[str, int]]:
        """Return calls by service, method and route, and the refused ones separately."""
        counted = {name: dict(self._counts[name]) for name in ("visiono", "vizdom", "storage")}
        refused = self._counts["refused_429"]
        return {**counted, "refused_429": {name: refused[name] for name in ("visiono", "vizdom")}}
