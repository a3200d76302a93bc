"""
The tag by which a permanent link that a task has made is found again. Pure functions.

A link has no ``metadata`` that we know of, but ``tags`` (plugin), which people in the workspace see: so it gets one
short tag, ``airflow-<task>-<ask>``, beside those that it is asked for with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.collect_partial import collect_partial
from airflow_provider_visio.api.error_hints import DOUBT_HINT
from airflow_provider_visio.exceptions import UnexpectedReplyError
from airflow_provider_visio.idempotency.record import ASK_KEY, TASK_KEY
from airflow_provider_visio.waiting import epoch, permanent_link_phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Digits of a fingerprint; the service's limit for a tag is not known.
LENGTH = 16
_OURS = re.compile(rf"airflow-[0-9a-f]{{{LENGTH}}}-[0-9a-f]{{{LENGTH}}}")


def link_tag(mark: Mapping[str, str]) -> str:
    """
    Return the tag of a link.

    :param mark: the fingerprint of the task (``airflow_task``) and, where it is known, the mark of one request of it
        (``airflow_ask``); without that, what the tags of all requests of the task begin with.
    """
    return f"airflow-{mark[TASK_KEY][:LENGTH]}-{mark.get(ASK_KEY, '')[:LENGTH]}"


def provider_tags(link: Mapping[str, Any]) -> list[str]:
    """Return those tags of a link by which the provider finds it again."""
    return [word for word in _list(link.get("tags")) if isinstance(word, str) and _OURS.fullmatch(word)]


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
    Return the links that a task has made.

    Where the service tells no tags, or has refused the task's, a link with the very slug and instructions that was made
    since then is taken for the task's own: nobody else could have got the slug.

    :param links: all links of the workspace.
    :param mark: what the tag is made of.
    :param asked: what the task asks for.
    :param since: when it can have asked at the earliest, in seconds since 1970, or None for ever.
    :param conn_id: id of the Airflow connection, for the error.
    :param untagged: whether it was asked for without the tag; None where that is not known.
    :raises UnexpectedReplyError: no tag and no slug tells, or the list is not whole, so nobody can say.
    """
    tag, slug = link_tag(mark), asked.get("custom_slug")
    tagged, alike, told, silent = [], [], False, False
    listed, doubt = collect_partial(links)
    for link in listed:
        told, silent = told or "tags" in link, silent or "tags" not in link
        if any(_fits(word, tag) for word in _list(link.get("tags"))):
            tagged.append(link)
        elif not provider_tags(link) and _is_alike(link, asked, since):
            alike.append(link)
    # One that stands is there, whatever else the service may have.
    if doubt and not any(permanent_link_phase(link) == "open" for link in tagged):
        more = "To make another all the same, start another run of the DAG, which does not look."
        raise doubt.saying(more) if DOUBT_HINT in str(doubt) else doubt
    tells_nothing = silent and not told
    if tagged or (untagged is False and not tells_nothing):
        return tagged
    if slug:
        # Where it may have been tagged, one without a tag is somebody else's.
        return alike if untagged or tells_nothing else []
    if not alike and (untagged or not tells_nothing):
        return []
    why = (
        "does not tell the tags of its permanent links"
        if tells_nothing
        else f"has a permanent link with these instructions and without the provider's tag ({alike[0].get('id')})"
    )
    raise UnexpectedReplyError(
        f"Visiono {why}, so it cannot be known whether this one was made before. Look in its dashboard; to make "
        "another all the same, start another run of the DAG, or give the link a custom_slug, by which it can be found. "
        f"[connection {conn_id}]",
        conn_id=conn_id,
    )


def _fits(word: object, tag: str) -> bool:
    return isinstance(word, str) and (word.startswith(tag) if tag.endswith("-") else word == tag)


def _is_alike(link: Mapping[str, Any], asked: Mapping[str, Any], since: float | None) -> bool:
    made = epoch(link.get("created_at"))
    names = ["instructions", "custom_slug"] if asked.get("custom_slug") else ["instructions"]
    in_time = since is None or made is None or made >= since
    return in_time and all(link.get(name) == asked.get(name) for name in names)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
