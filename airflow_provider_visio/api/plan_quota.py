"""Reads from ``GET /stats`` how many photos a plan has left. Only four of its names are public, none a counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# Possible names of a counter (assumed), the likeliest first; in `usage`, in `plan` or beside them.
LEFT = ("photos_remaining", "photos_left", "remaining_photos", "remaining")
LIMIT = ("photos_limit", "photo_limit", "photos_quota", "photo_quota", "limit", "quota")
USED = ("photos_used", "photo_count", "photos_count", "used")


class Left(NamedTuple):
    """How many photos are left, and the names of the counters that were read."""

    photos: int
    read: tuple[str, ...]


def photos_left(stats: Mapping[str, Any]) -> Left | None:
    """
    Return how many photos are left, in the month or for life, or None where no counter is known.

    :param stats: the data of ``GET /stats``.
    """
    sections: dict[str, object] = {"usage": stats.get("usage"), "plan": stats.get("plan"), "": stats}
    # Some services nest their counters: `usage.photos.used`.
    for name, place in list(sections.items()):
        if isinstance(place, Mapping):
            sections[f"{name}.photos".lstrip(".")] = place.get("photos")
    places = {name: place for name, place in sections.items() if isinstance(place, Mapping)}
    for name in LEFT:
        for where, place in places.items():
            if left := _first(where, place, (name,)):
                return left
    for where, place in places.items():
        # Both from one place: a plan's limit may be that of a single request.
        limit, used = _first(where, place, LIMIT), _first(where, place, USED)
        if limit and used:
            return Left(max(0, limit.photos - used.photos), limit.read + used.read)
    return None


def _first(where: str, place: Mapping[str, Any], names: tuple[str, ...]) -> Left | None:
    for name in names:
        number = _whole(place.get(name))
        if number is not None:
            return Left(number, (f"{where}.{name}".lstrip("."),))
    return None


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    # A limit below zero usually means that there is none.
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
