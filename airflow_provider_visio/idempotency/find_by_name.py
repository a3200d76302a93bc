"""Make a thing once that can carry no tag: it is found again by its name, as one that was not there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.collect_partial import collect_partial
from airflow_provider_visio.idempotency.create_once import ResourceAdapter
from airflow_provider_visio.idempotency.record import ASK_KEY
from airflow_provider_visio.waiting import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_visio.idempotency.create_once import CreateOnce
    from airflow_provider_visio.idempotency.lookup_window import LookupWindow

BEFORE_KEY = "visio_before"
_GONE = "visio_gone"


class CreateByName:
    """
    Something that a task makes once, told from others of its name by what was there before.

    :param once: what the task asks for, and has written down of it.
    :param name: the name that it is given.
    :param list_all: lists all things of its kind.
    """

    def __init__(
        self, once: CreateOnce, name: str, list_all: Callable[[], Iterable[Mapping[str, Any]]]
    ) -> None:
        self._once = once
        self._name = str(name).strip()
        self._list_all = list_all
        self._before: Any = once.store.get(BEFORE_KEY)

    def get(
        self,
        make: Callable[[], Mapping[str, Any]],
        *,
        discard: Callable[[str], None] | None,
        patience: LookupWindow,
    ) -> Mapping[str, Any]:
        """
        Return it: made now, or found.

        :param make: makes it.
        :param discard: deletes one by its id; None where the service cannot.
        :param patience: for how long what is made may not be there yet.
        """

        def ask(tag: dict[str, str]) -> Mapping[str, Any]:
            there = [one["id"] for one in self._called(self._name)]
            self._before = {"ask": tag[ASK_KEY], "name": self._name, "ids": there}
            self._once.store.set(BEFORE_KEY, self._before)
            self._once.asks_now()
            return make()

        return self._once.get(
            ResourceAdapter(
                ask=ask,
                look_at=self._look_at,
                look_up=self._look_up,
                phase_of=lambda one: "deleted" if one.get(_GONE) else "open",
                discard=discard,
                patience=patience,
            )
        )

    def _called(self, name: str) -> Iterator[dict[str, Any]]:
        for one in self._list_all():
            if one.get("id") and one.get("name") == name:
                yield {**one, "id": str(one["id"])}

    def _look_at(self, wanted: str, _: float | None) -> Mapping[str, Any]:
        # In the list, for a 404 of a call that nobody has documented is no word that it is gone.
        found = (one for one in self._list_all() if str(one.get("id")) == wanted)
        return {**next(found, {_GONE: True}), "id": wanted}

    def _look_up(self, mark: dict[str, str], since: float | None) -> list[Mapping[str, Any]]:
        name, before = self._name, set()
        if ASK_KEY in mark:
            if not isinstance(self._before, dict) or self._before.get("ask") != mark[ASK_KEY]:
                return []  # What was there is written down first, so nothing was sent.
            name, before = self._before["name"], set(self._before["ids"])
        called, doubt = collect_partial(self._called(name))
        found: list[Mapping[str, Any]] = [
            one for one in called if one["id"] not in before and _is_after(one.get("created_at"), since)
        ]
        if doubt and not found:
            raise doubt
        return found


def _is_after(created_at: object, since: float | None) -> bool:
    created = epoch(created_at)
    return created is None or since is None or created >= since
