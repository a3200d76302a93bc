"""Do something from Airflow's signal handler, which interrupts a task wherever that is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that a signal handler waits: Airflow ends a process 5 s after it has told it to end.
PATIENCE = 2.5


def run_in_thread(work: Callable[[], None]) -> None:
    """
    Do some work in a thread of its own, and wait for it a little.

    What a signal has interrupted may hold a lock, such as the one on Airflow's messages. The handler itself would wait
    for that for ever; the thread gets it once the handler is done, and the task goes on.
    """
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
