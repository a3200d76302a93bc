"""Keep a watcher's cursor in the state store (Airflow 3.3) of each asset that it watches for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

from airflow_provider_visio import clock

log = logging.getLogger(__name__)

AFTER_FAULT = 60.0


class WatchCursor(Protocol):
    """
    How far a watcher has come.

    :param given: the ``since`` of the watcher's user, a Unix timestamp; None for none.
    """

    given: float | None

    @property
    def is_new(self) -> bool:
        """Whether its first look is still to come."""

    @property
    def progress(self) -> float:
        """How far it has come; of two cursors of a watcher the one with less reports more."""

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Return a cursor from :meth:`as_json`, or None for anything else."""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""


C = TypeVar("C", bound=WatchCursor)


class CursorStore(Generic[C]):
    """
    The cursor of one watcher.

    Airflow runs one trigger for equal watchers of several assets, and its store then needs the name of one asset. The
    events are for all of them, and so is the cursor.

    :param store: the state store that Airflow gives the trigger; None before Airflow 3.3.
    :param key: the key of the watcher.
    :param kind: the class of its cursor.
    """

    def __init__(self, store: Any, key: str, kind: type[C]) -> None:
        self._key = key
        self._kind = kind
        self._stores = [] if store is None else [store]
        by_name, by_uri = getattr(store, "_by_name", None), getattr(store, "_by_uri", None)
        if isinstance(by_name, Mapping) and isinstance(by_uri, Mapping):
            self._stores = [*by_name.values(), *by_uri.values()]
            if not self._stores:
                self._do_without("it names no asset")

    async def read(self) -> C | None:
        """Return the stored cursor, or None; a store that cannot be read is tried until it can."""
        found = [await self._read(store) for store in list(self._stores)]
        # An event twice is better than none.
        return min((one for one in found if one is not None), key=lambda one: one.progress, default=None)

    async def write(self, cursor: C) -> None:
        """Store the cursor."""
        for store in self._stores:
            try:
                await store.aset(self._key, cursor.as_json())
            except Exception:
                # The next event tries again; a restart before that reports these submissions once more.
                log.exception("Cannot store the cursor of watcher %s.", self._key)

    async def _read(self, store: Any) -> C | None:
        while True:
            try:
                return self._kind.from_json(await store.aget(self._key))
            except Exception as error:
                if type(error) is ValueError:
                    # It needs the name of an asset: a retry does not help.
                    self._stores.remove(store)
                    self._do_without(str(error))
                    return None
                log.exception("Cannot read the cursor of watcher %s; trying again.", self._key)
                await clock.asleep(AFTER_FAULT)

    def _do_without(self, why: str) -> None:
        log.warning(
            "Cannot persist the cursor of watcher %s (%s); it is lost on restart.",
            self._key,
            why,
        )
