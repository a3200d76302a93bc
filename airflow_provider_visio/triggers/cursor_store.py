"""Where a watcher keeps how far it has come: the state store (Airflow 3.3) of each asset that it watches for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_visio import clock
from airflow_provider_visio.submissions import Cursor

log = logging.getLogger(__name__)

AFTER_FAULT = 60.0


class CursorStore:
    """
    The cursor of one watcher.

    Airflow makes one trigger of the watchers of several assets that are alike, and its store then wants to be told
    which asset is meant. The events are for all of them, and so is the cursor.

    :param store: what Airflow gives the trigger; None before Airflow 3.3.
    :param key: the key of the watcher.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._key = key
        self._stores = [] if store is None else [store]
        by_name, by_uri = getattr(store, "_by_name", None), getattr(store, "_by_uri", None)
        if isinstance(by_name, Mapping) and isinstance(by_uri, Mapping):
            self._stores = [*by_name.values(), *by_uri.values()]
            if not self._stores:
                self._do_without("it names no asset")

    async def read(self) -> Cursor | None:
        """Return the cursor that was kept, or None; a store that cannot be read is asked until it can."""
        found = [await self._read(store) for store in list(self._stores)]
        # The earliest: rather once more than not at all.
        return min((one for one in found if one is not None), key=lambda one: one.since, default=None)

    async def write(self, cursor: Cursor) -> None:
        """Keep the cursor."""
        for store in self._stores:
            try:
                await store.aset(self._key, cursor.as_json())
            except Exception:
                # The next event tries again; until then a restart tells of these once more.
                log.exception("How far the watch %s has come could not be kept.", self._key)

    async def _read(self, store: Any) -> Cursor | None:
        while True:
            try:
                return Cursor.from_json(await store.aget(self._key))
            except Exception as error:
                if type(error) is ValueError:
                    # It wants to be told of which asset: asking again does not help.
                    self._stores.remove(store)
                    self._do_without(str(error))
                    return None
                log.exception("Airflow does not tell how far the watch %s had come; asking again.", self._key)
                await clock.asleep(AFTER_FAULT)

    def _do_without(self, why: str) -> None:
        log.warning(
            "Airflow's store cannot keep how far the watch %s has come (%s), so a restart begins anew.",
            self._key,
            why,
        )
