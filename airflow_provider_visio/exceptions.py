"""
The errors this provider raises.

::

    VisioProviderError (AirflowException)
    ├── AuthenticationError        401: no key, a wrong one, or one that was revoked
    ├── PermissionDeniedError      402, 403: the key is good, but the plan or role forbids the call; a used-up quota
    ├── NotFoundError              404, 410: no such request, export, dashboard, link
    ├── InvalidRequestError        other 4xx, and input refused before any call (also a ValueError); `.fields`
    ├── RateLimitedError           429 for longer than the connection allows to wait; `.retry_after` seconds
    ├── ServiceError               5xx, or a data source that the service cannot reach
    ├── ConnectionFailedError      no reply: never reached, or lost on the way
    ├── UnexpectedReplyError       a reply that is not what the service promises (HTML, cut off, a redirect)
    ├── PhotoRequestFailedError    the request ended without photos: expired, cancelled, deleted
    ├── ExportFailedError          the export ended without a file
    ├── WaitTimeoutError           the wait's own deadline passed; `.waiting` ids that were still open
    ├── TransferError              a file could not be fetched, verified or stored
    └── SignatureError             what came back from a signed link is not what the service signed, or too old

All carry `.status`, `.request_id` (the service's, for its support), `.conn_id` and `.ambiguous`: True when
the service may have done what was asked although no good reply came back, so that asking again could do it
twice. No error text carries an API key, a signed link or a recipient's address.

An operator or sensor raises an error that a retry cannot mend as a subclass that is also an ``AirflowFailException``.
"""

from __future__ import annotations

import copy
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self


class VisioProviderError(AirflowException):
    """
    Anything that went wrong in this provider.

    :param message: what happened and what to do about it.
    :param status: HTTP status of the reply, if there was one.
    :param request_id: the service's own id of the call, if it gave one.
    :param conn_id: id of the Airflow connection used.
    :param ambiguous: whether the service may have acted although no good reply came.

    ``service_message`` has the message of the service's reply; empty where there is none.
    """

    service_message: str = ""
    # The part of the text that says what to do, and the text without it, for a caller that knows better.
    hint: str = ""
    _without_hint: str = ""
    # Whether a retry of the task can help, where that is known better than by the type; else None.
    _retry_helps: bool | None = None

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.conn_id = conn_id
        self.ambiguous = ambiguous

    def saying(self, more: str, *, instead_of_hint: bool = False) -> Self:
        """Return a copy of the error with more text, which replaces its hint where that is asked for."""
        error = copy.copy(self)
        before = self._without_hint if instead_of_hint and self._without_hint else str(self)
        error.args = (f"{before} {more}",)
        error._without_hint = f"{self._without_hint} {more}" if self._without_hint else ""  # noqa: SLF001
        return error


class AuthenticationError(VisioProviderError):
    """The service does not accept the API key, or the connection has none."""


class PermissionDeniedError(VisioProviderError):
    """The key is valid, but its plan, scope or role does not allow the call, or the plan's quota is used up."""


class NotFoundError(VisioProviderError):
    """
    The service does not know the object of the call.

    ``unknown_route`` is True where it says that it has no such call at all.
    """

    unknown_route: bool = False


class InvalidRequestError(VisioProviderError, ValueError):
    """
    The service, or a check before the call, refuses the input.

    :param fields: what is wrong with each field, by field name.
    """

    def __init__(
        self,
        message: str = "",
        *,
        fields: Mapping[str, Sequence[str]] | None = None,
        status: int | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id, conn_id=conn_id, ambiguous=ambiguous)
        self.fields = {name: list(problems) for name, problems in (fields or {}).items()}

    @classmethod
    def of(cls, field: str, problem: str) -> Self:
        """Return the error for one field that is refused before any call."""
        return cls(f"{field}: {problem}.", fields={field: [problem]})


class RateLimitedError(VisioProviderError):
    """
    The service refuses calls for longer than the connection's ``rate_limit_wait`` allows to wait.

    :param retry_after: seconds until the service is expected to accept calls again.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float = 0.0,
        status: int | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id, conn_id=conn_id, ambiguous=ambiguous)
        self.retry_after = retry_after


class ServiceError(VisioProviderError):
    """
    The service had a fault of its own (5xx), or cannot reach a data source that it was to test.

    ``retry_after`` has the seconds that its ``Retry-After`` asks to wait; 0 where it asks for nothing.
    """

    retry_after: float = 0.0


class ConnectionFailedError(VisioProviderError):
    """No reply came: the service was never reached, or (``.ambiguous``) the reply was lost."""


class UnexpectedReplyError(VisioProviderError):
    """The reply is not what the service promises: HTML, cut off, a redirect, a field of the wrong type."""


class PhotoRequestFailedError(VisioProviderError):
    """
    A photo request ended without its photos.

    :param ended: how those that a wait was for did, by id: ``"expired"``, ``"cancelled"``, ``"deleted"`` or
        ``"refused"``.
    """

    def __init__(
        self, message: str = "", *, ended: Mapping[str, str] | None = None, conn_id: str | None = None
    ) -> None:
        super().__init__(message, conn_id=conn_id)
        self.ended = dict(ended or {})


class ExportFailedError(VisioProviderError):
    """A dashboard export ended without a file."""


class WaitTimeoutError(VisioProviderError):
    """
    The deadline of a wait passed.

    :param waiting: ids that were still open then.
    """

    def __init__(self, message: str = "", *, waiting: Sequence[str] = (), conn_id: str | None = None) -> None:
        super().__init__(message, conn_id=conn_id)
        self.waiting = list(waiting)


class TransferError(VisioProviderError):
    """
    A file could not be fetched or stored; no file under its final name is incomplete.

    ``failed`` has each file that could not be fetched: ``{"key", "item", "reason"}``. ``manifest`` is the manifest of
    those that are stored, None if none was written.
    """

    failed: Sequence[Mapping[str, Any]] = ()
    manifest: Mapping[str, Any] | None = None


class SignatureError(VisioProviderError):
    """A signature does not fit what it should sign, or is too old: do not believe the values."""


def retried(error: VisioProviderError, *, helps: bool = True) -> VisioProviderError:
    """Return the error as one that a retry of the task mends, or cannot mend, whatever its type."""
    error._retry_helps = helps  # noqa: SLF001
    return error


def can_be_retried(error: VisioProviderError) -> bool:
    """Return whether a retry of the task can mend an error."""
    if error._retry_helps is not None:  # noqa: SLF001
        return error._retry_helps  # noqa: SLF001
    # A request that may still be answered has not ended; and the base class says that a person must decide.
    ended = not isinstance(error, PhotoRequestFailedError) or bool(error.ended)
    final = isinstance(error, _FINAL) or type(error) is VisioProviderError
    return error.ambiguous or not final or not ended


def fail_without_retry(error: VisioProviderError) -> None:
    """
    Make an error that a retry cannot mend one after which Airflow does not retry the task.

    :param error: the error; its type becomes a subclass of the same name that is also an ``AirflowFailException``.
    """
    if not can_be_retried(error):
        error.__class__ = _failing(type(error))  # type: ignore[arg-type]


_FINAL = (
    AuthenticationError,
    PermissionDeniedError,
    InvalidRequestError,
    PhotoRequestFailedError,
    WaitTimeoutError,
)


@cache  # so that two errors of one kind have one type
def _failing(kind: type[VisioProviderError]) -> type[VisioProviderError]:
    if issubclass(kind, AirflowFailException):
        return kind
    return type(kind.__name__, (kind, AirflowFailException), {"__module__": kind.__module__})


# So many failures are named in one error; of the rest it says how many there are.
_NAMED = 10


def join_errors(failed: Mapping[str, VisioProviderError], total: int, what: str) -> VisioProviderError:
    """
    Return one error for all that failed.

    :param failed: the errors, by the id of what each is about; at least one.
    :param total: how many were tried.
    :param what: their kind in the text, such as ``"files"``.
    :return: an error that names up to ten ids with their reasons. It has the type and the status that all errors share;
        where their types differ it is a :class:`TransferError`.
    """
    errors = list(failed.values())
    named = [
        f"{name}: {str(error).removeprefix(name).lstrip(': ').rstrip('.')}"
        for name, error in islice(failed.items(), _NAMED)
    ]
    if len(errors) > _NAMED:
        named.append(f"and {len(errors) - _NAMED} more")
    same_type = len({type(error) for error in errors}) == 1
    one = copy.copy(errors[0]) if same_type else TransferError(conn_id=errors[0].conn_id)
    one.args = (f"{len(errors)} of {total} {what} failed: {'; '.join(named)}.",)
    one.status = errors[0].status if len({error.status for error in errors}) == 1 else None
    one.request_id = errors[0].request_id if len(errors) == 1 else None
    one.ambiguous = any(error.ambiguous for error in errors)
    return one
