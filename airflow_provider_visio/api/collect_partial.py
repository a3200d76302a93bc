"""What a list shows, also where the service may have more than that: what it shows is there all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_visio.exceptions import UnexpectedReplyError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


def collect_partial(items: Iterable[T]) -> tuple[list[T], UnexpectedReplyError | None]:
    """
    Take all items of a list.

    :param items: yields what the service shows, and raises where it may have more.
    :return: what came, and the error, or None where that is all.
    """
    found: list[T] = []
    try:
        for one in items:
            found.append(one)  # noqa: PERF402  what came before an error is there
    except UnexpectedReplyError as error:
        return found, error
    return found, None
