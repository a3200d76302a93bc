"""Create an object once that can have no tag: a later try finds it by its name, as one that was not there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import NotFoundError
from airflow_provider_visio.idempotency.create_once import ResourceAdapter
from airflow_provider_visio.idempotency.lookup_window import LookupWindow
from airflow_provider_visio.idempotency.tag import ASK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.idempotency.create_once import CreateOnce

BEFORE_KEY = "visio_before"


def create_by_name(
    once: CreateOnce,
    name: str,
    config: ServiceConfig,
    *,
    list_all: Callable[[], Iterable[Mapping[str, Any]]],
    create: Callable[[], Mapping[str, Any]],
    delete: Callable[[str], None] | None,
) -> Mapping[str, Any]:
    """
    Return the object that a task asks for: a new one, or the one that an earlier try has created.

    :param once: the task's intent and record.
    :param list_all: lists all objects of its kind.
    :param delete: deletes an object by its id; None where the service cannot.
    """
    name = str(name).strip()
    # What an earlier try, or this one, found under the name before it asked.
    before: list[Any] = [once.store.get(BEFORE_KEY)]

    def named(wanted: str) -> list[dict[str, Any]]:
        listed = (one for one in list_all() if one.get("id") and one.get("name") == wanted)
        return [{**one, "id": str(one["id"])} for one in listed]

    def ask(tag: dict[str, str]) -> Mapping[str, Any]:
        before[0] = {"ask": tag[ASK_KEY], "name": name, "ids": [one["id"] for one in named(name)]}
        once.store.set(BEFORE_KEY, before[0])
        once.asks_now()
        return create()

    def look_at(wanted: str) -> Mapping[str, Any]:
        # In the list, because no reference has a call for one of them.
        for one in list_all():
            if str(one.get("id")) == wanted:
                return {**one, "id": wanted}
        raise NotFoundError(f"{wanted} is not in the list.")

    def look_up(mark: dict[str, str], since: float | None) -> list[Mapping[str, Any]]:
        wanted, known = name, set[str]()
        if ASK_KEY in mark:
            if not isinstance(before[0], dict) or before[0].get("ask") != mark[ASK_KEY]:
                return []  # the call comes after this is written down, so it was never sent
            wanted, known = before[0]["name"], set(before[0]["ids"])
        found = (one for one in named(wanted) if one["id"] not in known)
        return [one for one in found if since is None or (epoch(one.get("created_at")) or since) >= since]

    return once.get(
        ResourceAdapter(
            ask=ask,
            look_at=look_at,
            look_up=look_up,
            phase_of=lambda one: "deleted" if one.get("status") == "deleted" else "open",
            discard=None if delete is None else lambda found, _: delete(found),
            window=LookupWindow.of(config),
        )
    )
