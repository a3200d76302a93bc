"""
The tag by which a permanent link that a task has made is found again. Pure functions.

A link has no ``metadata`` that we know of, but ``tags`` (plugin), which people in the workspace see: so it gets one
short tag, ``airflow-<task>-<ask>``, beside those that it is asked for with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.exceptions import UnexpectedReplyError
from airflow_provider_visio.intent import ASK_KEY, TASK_KEY
from airflow_provider_visio.waiting import epoch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Digits of a fingerprint; the service's limit for a tag is not known.
LENGTH = 16


def tag_of(mark: Mapping[str, str]) -> str:
    """
    Return the tag of a link.

    :param mark: the fingerprint of the task (``airflow_task``) and, where it is known, the mark of one request of it
        (``airflow_ask``); without that, what the tags of all requests of the task begin with.
    """
    return f"airflow-{mark[TASK_KEY][:LENGTH]}-{mark.get(ASK_KEY, '')[:LENGTH]}"


def find_link(
    links: Iterable[Mapping[str, Any]],
    mark: Mapping[str, str],
    asked: Mapping[str, Any],
    since: float | None,
    conn_id: str,
) -> list[Mapping[str, Any]]:
    """
    Return the links that a task has made.

    Where the service tells no tags, a link with the very slug and instructions that was made since then is taken for
    the task's own: nobody else could have got the slug.

    :param links: all links of the workspace.
    :param mark: what the tag is made of.
    :param asked: what the task asks for.
    :param since: when it can have asked at the earliest, in seconds since 1970, or None for ever.
    :param conn_id: id of the Airflow connection, for the error.
    :raises UnexpectedReplyError: the service tells no tags, so nobody can say.
    """
    tag, tagged, alike, told, silent = tag_of(mark), [], [], False, False
    for link in links:
        told, silent = told or "tags" in link, silent or "tags" not in link
        if any(_fits(word, tag) for word in _list(link.get("tags"))):
            tagged.append(link)
        elif "tags" not in link and _is_alike(link, asked, since):
            alike.append(link)
    if tagged or told or not silent:
        return tagged
    if alike or asked.get("custom_slug"):
        return alike
    raise UnexpectedReplyError(
        "Visiono does not tell the tags of its permanent links, so it cannot be known whether this one was made "
        "before. Look in its dashboard; to make another all the same, start another run of the DAG, or give the link a "
        f"custom_slug, by which it can be found. [connection {conn_id}]",
        conn_id=conn_id,
    )


def _fits(word: object, tag: str) -> bool:
    return isinstance(word, str) and (word.startswith(tag) if tag.endswith("-") else word == tag)


def _is_alike(link: Mapping[str, Any], asked: Mapping[str, Any], since: float | None) -> bool:
    slug, made = asked.get("custom_slug"), epoch(link.get("created_at"))
    in_time = since is None or made is None or made >= since
    return (
        bool(slug)
        and all(link.get(name) == asked[name] for name in ("custom_slug", "instructions"))
        and in_time
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
