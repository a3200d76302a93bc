"""A task that measures, in the triggerer, the time of a read of a connection's inbox of webhooks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_visio.webhooks.inbox import read_inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READS = 200
PAUSE = 0.1


class ReadInboxTrigger(BaseTrigger):
    """
    Reads the inbox of a connection many times.

    :param conn_id: id of the Airflow connection.
    """

    def __init__(self, conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of this class, and its arguments."""
        return f"{__name__}.{type(self).__name__}", {"conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the milliseconds of each read, sorted, without the first one."""
        taken = []
        for _ in range(READS + 1):
            started = time.perf_counter()
            inbox = await read_inbox(self.conn_id)
            taken.append(1000 * (time.perf_counter() - started))
            assert inbox is not None, "no webhook has come yet"
            await asyncio.sleep(PAUSE)
        yield TriggerEvent(sorted(taken[1:]))  # type: ignore[no-untyped-call]


class ReadInbox(BaseOperator):
    """
    Measures reads of an inbox in the triggerer. The output is the milliseconds of each read, sorted.

    :param conn_id: id of the Airflow connection.
    """

    def __init__(self, *, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def execute(self, context: Any) -> None:  # noqa: ARG002
        """Defer to the trigger."""
        self.defer(trigger=ReadInboxTrigger(self.conn_id), method_name="execute_complete")

    def execute_complete(self, context: Any, event: list[float]) -> list[float]:  # noqa: ARG002
        """Return what the trigger has measured."""
        return event
