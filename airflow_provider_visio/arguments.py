"""Checks of operators' arguments, while a DAG file is parsed and at run time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_visio.api.plain_values import check_id, id_text, is_number
from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import InvalidRequestError

# Airflow's own default, which it also writes into each new airflow.cfg: nobody has chosen that.
_NOT_CHOSEN = "false"

# Seconds by which a wait ends before the task's execution_timeout.
LEAD = 5.0


def is_literal(value: object) -> bool:
    """Return whether a value is already the one of run time: no template, no output of another task."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if value is None or isinstance(value, bool | int | float | bytes | os.PathLike):
        return True
    if isinstance(value, Mapping):
        return all(is_literal(part) for part in value.values())
    if isinstance(value, Sequence | set):
        return all(is_literal(part) for part in value)
    # A value that Airflow resolves later has a `resolve`; a timedelta, for example, has none.
    return not hasattr(value, "resolve")


def check_if_known(check: Callable[..., Any], **values: object) -> None:
    """Run a check on those arguments whose values are known while the DAG file is parsed."""
    known = {name: value for name, value in values.items() if value is not None and is_literal(value)}
    if known:
        check(**known)


def require(value: object, name: str, advice: str = "") -> None:
    """Refuse an argument that is None, empty or blank; ``advice`` says what to give, if the name does not show it."""
    if not is_literal(value):
        return
    if value is None or value in ("", [], {}, ()) or (isinstance(value, str) and not value.strip()):
        raise InvalidRequestError.of(name, f"it is empty; {advice}" if advice else "it is empty")


def require_resolved(value: object, name: str, *, given: bool) -> None:
    """Refuse an argument that the DAG file gives but that is None at run time, because None means something else."""
    # A template renders None as text.
    if given and value in (None, "None"):
        raise InvalidRequestError.of(
            name, "it is None, though the DAG file gives it; check what the task that it comes from returns"
        )


def read_once(value: object) -> object:
    """Return the output of a mapped task as a list, read in a single call to Airflow; any other value unchanged."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | list | tuple):
        return value
    from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

    # To iterate costs a call for each item, and the one behind the last logs an error.
    items = value[:] if isinstance(value, LazyXComSequence) else value
    return [item for item in items if item is not None]


def ids_of(value: object, name: str, *, may_be_empty: bool = False) -> list[str]:
    """
    Return the ids in a value: an id, the output of a task that has one, or a list of either.

    A sensor's output over a list (``{"arrived": [...]}``) stands for the ids that arrived, and a batch's output
    (``{"ids": [...]}``) for those that it created.

    :param value: the id or ids.
    :param name: the parameter's name.
    :param may_be_empty: whether an empty list is allowed, or an output that holds one.
    :return: the ids, each once, in their order.
    :raises InvalidRequestError: it holds no id.
    """
    found = list(dict.fromkeys(_ids_in(value, name)))
    if found or may_be_empty:
        return found
    if holds_output(value, "arrived", "ids"):
        raise InvalidRequestError.of(
            name,
            "nothing has arrived, or the batch created no request; its output has the reasons in `failed`",
        )
    raise _no_id(value, name)


def holds_output(value: object, *keys: str) -> bool:
    """Return whether a value is an output with one of these keys, or a list of such; an empty list is neither."""
    if isinstance(value, Mapping):
        return any(key in value for key in keys)
    return isinstance(value, list | tuple) and bool(value) and all(holds_output(one, *keys) for one in value)


def _ids_in(value: object, name: str) -> list[str]:
    held = read_once(value)
    if isinstance(held, Mapping):
        held = next((held[key] for key in ("id", "arrived", "ids") if key in held), None)
    held = id_text(held)
    if isinstance(held, str) and held.strip():
        return [held.strip()]
    if isinstance(held, str | bytes) or not isinstance(held, Iterable):
        raise _no_id(value, name)
    return [found for entry in held for found in _ids_in(entry, name)]


def _no_id(value: object, name: str) -> InvalidRequestError:
    advice = "give an id, the output of the task that created it, or a list of these"
    return InvalidRequestError.of(name, f"{_shown(value)} holds no id; {advice}")


def checked_ids(value: object, name: str) -> list[str]:
    """Return the ids in a value, as :func:`ids_of` does, and refuse what cannot be an id."""
    return [check_id(found, name) for found in ids_of(value, name)]


def known_ids(value: object, name: str) -> list[str]:
    """Return :func:`checked_ids` of a value that is known while the DAG file is parsed; otherwise an empty list."""
    return checked_ids(value, name) if is_literal(value) else []


def id_of(value: object, name: str) -> str:
    """
    Return the one id in a value: an id, or the output of a task that has it as ``name`` or as ``id``.

    :raises InvalidRequestError: it holds no id, several, or one that is not valid.
    """
    if isinstance(value, Mapping) and name in value:
        value = value[name]
    found = ids_of(value, name)
    if len(found) > 1:
        raise InvalidRequestError.of(name, f"give one, not {len(found)}; map the task over several")
    return check_id(found[0], name)


def known_id(value: object, name: str) -> None:
    """Check the one id in a value where it is known while the DAG file is parsed; see :func:`id_of`."""
    if is_literal(value):
        id_of(value, name)


def is_many(value: object) -> bool:
    """Return whether a value stands for several ids, so that the output is a list."""
    if isinstance(value, Mapping):
        return "id" not in value
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def min_dwell() -> float:
    """Return the seconds for which a deferred task stays deferred at least (``[visio] min_dwell``)."""
    from airflow.providers.common.compat.sdk import conf

    return max(0.0, float(conf.getfloat("visio", "min_dwell", fallback=10.0)))


def defers_by_default() -> bool:
    """Return whether a task defers that does not say: as ``[operators] default_deferrable`` is set, otherwise yes."""
    from airflow.providers.common.compat.sdk import conf

    text = str(conf.get("operators", "default_deferrable", fallback=_NOT_CHOSEN))
    if text == _NOT_CHOSEN and "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE" not in os.environ:
        return True
    return bool(conf.getboolean("operators", "default_deferrable"))


def seconds(value: float | timedelta | None, name: str) -> float | None:
    """
    Return a duration in seconds, or None for None.

    :raises InvalidRequestError: it is not a positive number of seconds or timedelta.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidRequestError.of(name, f"give seconds or a timedelta above zero, not {_shown(value)}")
    return float(value)


def moment_of(value: Any, name: str) -> float | None:
    """
    Return a moment as a Unix timestamp, or None for None.

    :param value: a Unix timestamp, a datetime with a time zone, or ISO 8601 text with one.
    """
    if value is None:
        return None
    if is_number(value) and math.isfinite(value):
        return float(value)
    found = epoch(value)
    if found is None:
        raise InvalidRequestError.of(name, f"give a time with a time zone, not {_shown(value)}")
    return found


def earliest_deadline(
    since: float, timeout: float | timedelta | None, execution_timeout: timedelta | None
) -> float | None:
    """
    Return the deadline of a wait as a Unix timestamp, or None for no deadline.

    :param since: when the wait began, a Unix timestamp.
    :param timeout: seconds or a timedelta that it may take.
    :param execution_timeout: the task's, which Airflow counts on a worker only. The wait ends a little before it, so
        that the error names what is still open.
    """
    spans = [timeout.total_seconds() if isinstance(timeout, timedelta) else timeout]
    if execution_timeout is not None:
        whole = execution_timeout.total_seconds()
        spans.append(whole - min(LEAD, whole / 10))
    return min((since + span for span in spans if span is not None), default=None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
