"""Airflow's own command with a less eager garbage collector.

The API server makes a million objects that stay while it starts: looking through them again and again
for garbage is a fifth of its start-up, and everything waits for it.
"""

from __future__ import annotations

import gc

gc.set_threshold(100_000, 20, 100)

from airflow.__main__ import main  # noqa: E402  (after the setting: the import is part of the start-up)

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]
