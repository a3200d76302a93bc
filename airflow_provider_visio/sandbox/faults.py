"""Faults on order: which calls they hit, and how often."""

import asyncio
import itertools
import re
from typing import Any, Literal

from pydantic import Field, field_validator

from .options import Strict

Kind = Literal[
    "status",
    "delay",
    "hold",
    "drop_before",
    "drop_after",
    "truncate",
    "short",
    "html",
    "empty",
    "redirect",
    "body",
    "slow",
    "rate_limit",
]


class FaultSpec(Strict):
    """One fault as it is ordered through the control interface.

    A `hold` keeps a call, before its work or after it, until `POST /control/faults/{id}/let-go`, also when the caller
    has hung up meanwhile; with `drop` the call is lost then. `held` in its view is how many it keeps.
    """

    service: Literal["visiono", "vizdom", "storage"]
    kind: Kind
    method: str | None = None
    path: str | None = None
    key: str | None = None
    times: int | None = Field(default=1, ge=0)
    skip: int = Field(default=0, ge=0)
    status: int | None = Field(default=None, ge=200, le=599)
    body: Any = None
    headers: dict[str, str] = Field(default_factory=dict)
    content_type: str | None = None
    seconds: float = Field(default=1.0, ge=0)
    after_work: bool = False
    location: str | None = None
    retry_after: float | str | None = None
    reset: float | str | None = None

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as problem:
                raise ValueError(f"no valid regular expression: {problem}") from problem
        return value


class Fault:
    """An ordered fault and what has come of it."""

    def __init__(self, number: int, spec: FaultSpec) -> None:
        self.id = number
        self.spec = spec
        self.fired = 0
        self.held = 0
        self._to_skip = spec.skip
        self._released = asyncio.Event()
        self._drop = False

    def matches(self, service: str, method: str, path: str, key: str | None) -> bool:
        """Whether the call is one of its kind and it is not used up."""
        spec = self.spec
        return (
            spec.service == service
            and (spec.times is None or self.fired < spec.times)
            and (spec.method is None or spec.method.upper() == method)
            and (spec.path is None or re.search(spec.path, path) is not None)
            and (spec.key is None or spec.key == key)
            and not self._released.is_set()
        )

    def fires(self) -> bool:
        """Count a call it matches; false while it still lets calls through."""
        if self._to_skip > 0:
            self._to_skip -= 1
            return False
        self.fired += 1
        return True

    async def hold(self) -> bool:
        """Keep a call until it is let go; returns whether it is to be dropped."""
        self.held += 1
        try:
            await self._released.wait()
        finally:
            self.held -= 1
        return self._drop

    def release(self, *, drop: bool = False) -> None:
        """Let all go that is held; nothing is held any more."""
        self._drop = drop
        self._released.set()

    def view(self) -> dict[str, Any]:
        """As the control interface shows it."""
        return {"id": self.id, "fired": self.fired, "held": self.held, **self.spec.model_dump()}


class Faults:
    """All faults; the first that fires wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, spec: FaultSpec) -> Fault:
        """Order one."""
        fault = Fault(next(self._numbers), spec)
        self._faults.append(fault)
        return fault

    def find(self, number: int) -> Fault | None:
        """Return the one with this number."""
        return next((fault for fault in self._faults if fault.id == number), None)

    def pick(self, service: str, method: str, path: str, key: str | None = None) -> Fault | None:
        """Return the fault that fires this call, if any."""
        for fault in self._faults:
            if fault.matches(service, method, path, key) and fault.fires():
                return fault
        return None

    def clear(self) -> None:
        """Take all orders back, and let go what they hold."""
        for fault in self._faults:
            fault.release()
        self._faults.clear()

    def view(self) -> list[dict[str, Any]]:
        """All of them, with how often each struck."""
        return [fault.view() for fault in self._faults]
