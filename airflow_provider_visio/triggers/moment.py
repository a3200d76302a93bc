"""Trigger that waits until a moment, such as when a service accepts calls again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class MomentTrigger(BaseTrigger):
    """
    Fire at a moment, with the event that was given.

    :param moment: when, as a Unix timestamp.
    :param event: what to fire with: plain JSON, nothing secret.
    """

    def __init__(self, moment: float, event: Mapping[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moment = moment
        self.event = dict(event)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.{type(self).__name__}", {"moment": self.moment, "event": self.event}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire."""
        await clock.asleep(max(0.0, self.moment - clock.now()))
        yield TriggerEvent(self.event)  # type: ignore[no-untyped-call]
