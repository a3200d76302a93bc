"""
The tag by which a later try finds a permanent link. Pure functions.

A link has no ``metadata`` that we know of, but ``tags`` (plugin), which people in the workspace see. So it gets one
short tag, ``airflow-<task>-<ask>``, beside those that the user gives it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import UnexpectedReplyError
from airflow_provider_visio.idempotency.tag import ASK_KEY, TASK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Digits of a fingerprint; the service's limit for a tag is not known.
LENGTH = 16
_OURS = rf"airflow-[0-9a-f]{{{LENGTH}}}-[0-9a-f]{{{LENGTH}}}"


def link_tag(mark: Mapping[str, str]) -> str:
    """
    Return the tag of a link.

    :param mark: ``airflow_task`` and ``airflow_ask``; without the latter, the start of all tags of a task is returned.
    """
    return f"airflow-{mark[TASK_KEY][:LENGTH]}-{mark.get(ASK_KEY, '')[:LENGTH]}"


def provider_tags(link: Mapping[str, Any]) -> list[str]:
    """Return those tags of a link that are the provider's."""
    return [word for word in _list(link.get("tags")) if isinstance(word, str) and re.fullmatch(_OURS, word)]


def find_link(
    links: Iterable[Mapping[str, Any]],
    mark: Mapping[str, str],
    asked: Mapping[str, Any],
    since: float | None,
    conn_id: str,
    *,
    untagged: bool | None = False,
) -> list[Mapping[str, Any]]:
    """
    Return the links that a task has created.

    Where the service returns no tags, or has refused the task's, a link with the same slug and instructions that was
    created since then is the task's own: nobody else could have got the slug.

    :param links: all links of the workspace.
    :param asked: what the task asks for.
    :param since: Unix timestamp of the first moment at which it can have asked; None for ever.
    :param untagged: whether it was asked for without the tag; None where that is not known.
    :raises UnexpectedReplyError: neither a tag nor a slug says which link it is.
    """
    tag, listed = link_tag(mark), list(links)
    tagged = [link for link in listed if any(_fits(word, tag) for word in _list(link.get("tags")))]
    has_tags = not listed or any("tags" in link for link in listed)
    if tagged or (untagged is False and has_tags):
        return tagged
    alike = [link for link in listed if not provider_tags(link) and _is_alike(link, asked, since)]
    if asked.get("custom_slug"):
        # Where it may have the tag, a link without one is somebody else's.
        return alike if untagged or not has_tags else []
    if not alike and (untagged or has_tags):
        return []
    why = (
        f"has a permanent link with these instructions and without the provider's tag ({alike[0].get('id')})"
        if has_tags
        else "does not return the tags of its permanent links"
    )
    raise UnexpectedReplyError(
        f"Visiono {why}, so it is not known whether this one was created before. Look in its dashboard. To create "
        "another anyway, start another run of the DAG, or give the link a custom_slug, by which it can be found. "
        f"[connection {conn_id}]",
        conn_id=conn_id,
    )


def _fits(word: object, tag: str) -> bool:
    return isinstance(word, str) and (word.startswith(tag) if tag.endswith("-") else word == tag)


def _is_alike(link: Mapping[str, Any], asked: Mapping[str, Any], since: float | None) -> bool:
    created = epoch(link.get("created_at"))
    names = ["instructions", "custom_slug"] if asked.get("custom_slug") else ["instructions"]
    in_time = since is None or created is None or created >= since
    return in_time and all(link.get(name) == asked.get(name) for name in names)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
