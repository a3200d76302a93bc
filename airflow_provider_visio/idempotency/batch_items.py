"""
The requests of a batch: their keys, their groups, and the meaning of a reply. No I/O.

The key of a request is a fingerprint of its content, so a list in another order is the same list. Equal requests have a
number in their keys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.photo_request_fields import MOST_IN_BATCH
from airflow_provider_visio.idempotency.tag import INPUT_KEY, fingerprint

if TYPE_CHECKING:
    from airflow_provider_visio.exceptions import InvalidRequestError

KEY_DIGITS = 16

# How a refusal names a field of one of them (assumed): `photo_requests.3.items.0`, or `photo_requests[3].items`.
_PLACE = re.compile(r"^(?:(?:photo_)?requests[.\[])?(\d+)\]?(?:\.|$)")


@dataclass(frozen=True)
class Item:
    """One request of the list; its key does not depend on its place."""

    index: int
    key: str
    body: Mapping[str, Any] = field(repr=False)


def items_of(requests: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Return the requests of a list, each with its key."""
    seen: Counter[str] = Counter()
    items = []
    for index, body in enumerate(requests):
        mark = fingerprint({name: value for name, value in body.items() if value is not None}, KEY_DIGITS)
        seen[mark] += 1
        items.append(Item(index, mark if seen[mark] == 1 else f"{mark}-{seen[mark]}", body))
    return items


def dropped(
    items: Sequence[Item], planned: Collection[str], made: Collection[str]
) -> tuple[set[str], set[str]]:
    """Return the keys of created requests that the list has no more, and the keys that were not planned."""
    keys = {item.key for item in items}
    return set(made) - keys, keys - set(planned)


def groups(items: Sequence[Item], size: int = MOST_IN_BATCH) -> Iterator[list[Item]]:
    """Yield the requests in groups that one call takes."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def matched(group: Sequence[Item], made: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """
    Return the requests of a reply by key: by their tag, or else in the order of the group.

    Only requests with an id count. Without a tag, and with another number than the group has, none is returned.
    """
    found = [one for one in made if isinstance(one.get("id"), str | int) and one["id"] != ""]
    keys = {item.key for item in group}
    tagged = {str(key): one for one in found if (key := _key_in(one)) in keys}
    if tagged or len(found) != len(group):
        return tagged
    return {item.key: one for item, one in zip(group, found, strict=True)}


def refused(group: Sequence[Item], error: InvalidRequestError) -> dict[str, str]:
    """
    Return the reasons of those requests of a group that a refusal means, by key.

    The result is empty if the refusal does not say which. A single request is always meant.
    """
    if len(group) == 1:
        return {group[0].key: reason_of(error)}
    found: dict[str, list[str]] = {}
    for name, problems in error.fields.items():
        place = _PLACE.search(str(name))
        if place and int(place[1]) < len(group):
            rest = str(name)[place.end() :].strip(".") or "it"
            found.setdefault(group[int(place[1])].key, []).append(f"{rest}: {' '.join(problems)}")
    return {key: _short("; ".join(texts)) for key, texts in found.items()}


def reason_of(error: InvalidRequestError) -> str:
    """Return why one request was refused, in the service's words."""
    named = "; ".join(f"{name}: {' '.join(problems)}" for name, problems in error.fields.items())
    return _short(named or str(error))


def by_key(made: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return requests by the key in their tag."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in made:
        if (key := _key_in(one)) is not None:
            found.setdefault(key, []).append(one)
    return found


def _key_in(request: Mapping[str, Any]) -> str | None:
    metadata = request.get("metadata")
    key = metadata.get(INPUT_KEY) if isinstance(metadata, Mapping) else None
    return key if isinstance(key, str) else None


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
