"""An operator's arguments: what is known of them when a DAG file is parsed, and what they mean at run time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_visio.api.call import check_id
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.waiting import epoch

# Seconds before a task's execution_timeout at which a wait ends itself.
LEAD = 5.0


def is_literal(value: object) -> bool:
    """Return whether a value is what it will be at run time: no template, no output of another task."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if value is None or isinstance(value, bool | int | float | bytes | os.PathLike):
        return True
    if isinstance(value, Mapping):
        return all(is_literal(part) for part in value.values())
    if isinstance(value, Sequence | set):
        return all(is_literal(part) for part in value)
    # A timedelta, say, is known; whatever Airflow resolves later has a `resolve`.
    return not hasattr(value, "resolve")


def check_if_known(check: Callable[..., Any], **values: object) -> None:
    """Run a check on the arguments whose values are known while the DAG file is parsed."""
    known = {name: value for name, value in values.items() if value is not None and is_literal(value)}
    if known:
        check(**known)


def require(value: object, name: str, advice: str = "") -> None:
    """
    Refuse an argument that is missing.

    :param value: the argument.
    :param name: its name.
    :param advice: what to give, where the name does not say it.
    :raises InvalidRequestError: it is None, empty or blank.
    """
    if not is_literal(value):
        return
    if value is None or value in ("", [], {}, ()) or (isinstance(value, str) and not value.strip()):
        raise InvalidRequestError.of(name, f"it is empty; {advice}" if advice else "it is empty")


def require_resolved(value: object, name: str, *, given: bool) -> None:
    """
    Refuse an argument that the DAG file gives and that is None at run time: leaving it out would mean something else.

    :raises InvalidRequestError: it has come to nothing.
    """
    # Text is what a template makes of it.
    if given and value in (None, "None"):
        raise InvalidRequestError.of(
            name, "it is None, though the DAG file gives it: the task that it comes from may return nothing"
        )


def known_ids(value: object, name: str) -> list[str]:
    """
    Return the ids that are known while the DAG file is parsed; none where they are not.

    :raises InvalidRequestError: there is none in it, or one that cannot be.
    """
    return checked_ids(value, name) if is_literal(value) else []


def checked_ids(value: object, name: str) -> list[str]:
    """
    Return the ids in what a user passes on, see :func:`ids_of`, each of which can be one.

    :raises InvalidRequestError: there is none in it, or one that cannot be.
    """
    return [check_id(found, name) for found in ids_of(value, name)]


def ids_of(value: object, name: str) -> list[str]:
    """
    Return the ids in what a user passes on: an id, the output of the task that made it, or a list of either.

    A sensor's result over a list (``{"arrived": [...]}``) counts for the ids that arrived, a batch's
    (``{"ids": [...]}``) for those that were made; in a list, one may have made none.

    :param value: the id or ids.
    :param name: the parameter's name, for the error.
    :raises InvalidRequestError: there is no id in it.
    """
    found: list[str] = []
    if isinstance(value, str):
        found = [value.strip()]
    elif isinstance(value, Mapping) and "id" in value:
        found = ids_of(value["id"], name)
    elif isinstance(value, Mapping) and value.get("arrived"):
        found = ids_of(value["arrived"], name)
    elif isinstance(value, Mapping) and value.get("ids"):
        found = ids_of(value["ids"], name)
    elif value is not None and not isinstance(value, Mapping | bytes | int | float):
        try:
            entries = list(value)  # type: ignore[call-overload]
        except TypeError:
            entries = []
        for entry in entries:
            found.extend([] if holds_none(entry, bare=True) else ids_of(entry, name))
    if isinstance(value, Mapping) and value.get("arrived") == []:
        raise InvalidRequestError.of(name, "nothing has arrived, so there is nothing to take")
    if holds_none(value):
        raise InvalidRequestError.of(
            name, "no request was made, so there is none to take; the batch's output says why, in `failed`"
        )
    if not found or not all(found):
        raise InvalidRequestError.of(
            name,
            f"{_shown(value)} holds no id; give an id, the output of the task that made it, or a list of these",
        )
    return list(dict.fromkeys(found))


def holds_none(value: object, *, bare: bool = False) -> bool:
    """
    Return whether what a user passes on is the output of a batch that made nothing, or a list of nothing else.

    :param value: what is passed on.
    :param bare: whether a list may be such a batch's ``ids``: an empty one alone does not say what it is of.
    """
    if isinstance(value, Mapping):
        return "id" not in value and not value.get("arrived") and value.get("ids") == []
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return (bare or bool(value)) and all(holds_none(entry, bare=bare) for entry in value)
    return False


def id_of(value: object, name: str) -> str:
    """
    Return the one id in what a user passes on: an id, or the output of a task that has it as ``name`` or as ``id``.

    :param value: the id.
    :param name: the parameter's name.
    :raises InvalidRequestError: there is none in it, or there are several.
    """
    if isinstance(value, Mapping) and name in value:
        value = value[name]
    found = ids_of(value, name)
    if len(found) > 1:
        raise InvalidRequestError.of(name, f"give one, not {len(found)}; map the task over several")
    return check_id(found[0], name)


def known_id(value: object, name: str) -> None:
    """Refuse an id of which it is known while the DAG file is parsed that it cannot be, or that it is several."""
    if is_literal(value):
        id_of(value, name)


def link_id_of(value: object) -> str:
    """
    Return the id of one permanent link: as it is, or of the output of the task that made it or waited on it.

    :raises InvalidRequestError: it is none, or several.
    """
    return id_of(value, "link_id")


def known_link(value: object) -> None:
    """Refuse a permanent link's id of which it is known while the DAG file is parsed that it cannot be."""
    known_id(value, "link_id")


def is_many(value: object) -> bool:
    """Return whether what a user passes on stands for several ids, so that the result is a list as well."""
    if isinstance(value, Mapping):
        return "id" not in value
    return not isinstance(value, str)


def min_dwell() -> float:
    """Return the seconds for which a deferred task stays deferred at least, as Airflow's configuration says."""
    from airflow.providers.common.compat.sdk import conf

    return max(0.0, float(conf.getfloat("visio", "min_dwell", fallback=10.0)))


def seconds(value: float | timedelta | None, name: str) -> float | None:
    """
    Return a duration in seconds.

    :raises InvalidRequestError: it is not a positive number of seconds or timedelta.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidRequestError.of(name, f"give seconds or a timedelta above zero, not {_shown(value)}")
    return float(value)


def moment_of(value: object, name: str) -> float | None:
    """
    Return a moment as seconds since 1970, or None for none.

    :param value: seconds since 1970, a datetime with a zone, or ISO 8601 text with one.
    :raises InvalidRequestError: it is none of these.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    found = epoch(value)
    if found is None:
        raise InvalidRequestError.of(name, f"give a time with its zone, not {_shown(value)}")
    return found


def earliest_deadline(
    since: float, timeout: float | timedelta | None, execution_timeout: timedelta | None
) -> float | None:
    """
    Return when a wait gives up, in seconds since 1970, or None for never.

    :param since: when it began.
    :param timeout: seconds or a timedelta that it may take.
    :param execution_timeout: that of the task, which Airflow counts on a worker only; a little earlier than Airflow, so
        that the wait ends in its own words.
    """
    spans = [timeout.total_seconds() if isinstance(timeout, timedelta) else timeout]
    if execution_timeout is not None:
        whole = execution_timeout.total_seconds()
        spans.append(whole - min(LEAD, whole / 10))
    return min((since + span for span in spans if span is not None), default=None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
