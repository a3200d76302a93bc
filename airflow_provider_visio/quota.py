"""How many photos a plan has left. Pure: of ``GET /stats`` only four names are public, and none is a counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Names under which a counter may come (assumed), the likeliest first; in `usage`, in `plan` or beside them.
LEFT = ("photos_remaining", "photos_left", "remaining_photos", "remaining")
LIMIT = ("photos_limit", "photo_limit", "photos_quota", "photo_quota", "limit", "quota")
USED = ("photos_used", "photo_count", "photos_count", "used")


def photos_left(stats: Mapping[str, Any]) -> int | None:
    """
    Return how many photos are left, in the month or for good, or None where the plan does not tell.

    :param stats: the data of ``GET /stats``.
    """
    usage, plan = stats.get("usage"), stats.get("plan")
    places = [place for place in (usage, plan, stats) if isinstance(place, Mapping)]
    # Some services nest what they count: `usage.photos.used`.
    places += [photos for place in places if isinstance(photos := place.get("photos"), Mapping)]
    left = _first(places, LEFT)
    if left is not None:
        return max(0, left)
    limit, used = _first(places, LIMIT), _first(places, USED)
    return None if limit is None or used is None else max(0, limit - used)


def _first(places: list[Mapping[str, Any]], names: tuple[str, ...]) -> int | None:
    for name in names:
        for place in places:
            number = _whole(place.get(name))
            if number is not None:
                return number
    return None


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    # A limit below zero is a way of saying that there is none.
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
