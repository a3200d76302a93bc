"""A request to a service, and its reply, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from airflow_provider_visio.api.plain_values import check_id, json_value
from airflow_provider_visio.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


# The vendor describes its API twice, and the descriptions differ.
Dialect = Literal["reference", "plugin"]
KnownTo = Literal["both", "reference", "plugin"]


@dataclass(frozen=True)
class Call:
    """
    One request, not yet sent.

    :param method: the HTTP method.
    :param path: the path below the base URL, ids already escaped.
    :param route: the path with its placeholders, for messages and counters.
    :param params: query parameters; None is left out, and a list is sent as several parameters of one name.
    :param body: the JSON body, or None for no body.
    :param evidence: the source of the call: seed, docs, plugin, inferred or assumed.
    :param known_to: which of the vendor's descriptions has the call; a service that follows the other may not have it.
    :param needs: the right that a key needs for it, in words, such as "the scope photo_requests:write".
    :param secrets: texts of the body that no error may repeat.
    :param needs_data: whether a success must have a body.
    """

    method: str
    path: str
    route: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    evidence: str = "seed"
    known_to: KnownTo = "both"
    needs: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    needs_data: bool = True

    @property
    def changes(self) -> bool:
        """Whether it changes something at the service."""
        return self.method not in {"GET", "HEAD"}

    @property
    def repeatable(self) -> bool:
        """Whether sending it again after a lost reply cannot do anything twice."""
        return not self.changes or self.method == "DELETE"

    def url(self, base_url: str) -> str:
        """
        Return the whole URL below a base URL.

        :raises InvalidRequestError: the path or a parameter has text that UTF-8 cannot carry.
        """
        try:
            query = urlencode(
                [
                    (name, _as_query(value))
                    for name, values in self.params.items()
                    for value in (values if isinstance(values, list | tuple) else [values])
                    if value is not None
                ]
            )
            self.path.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError.of(
                "params", "the path or a parameter contains an unpaired surrogate"
            ) from None
        return f"{base_url.rstrip('/')}{self.path}{'?' if query else ''}{query}"

    def content(self) -> bytes | None:
        """
        Return the body as JSON, or None for no body.

        :raises InvalidRequestError: it has a value that JSON, or UTF-8, cannot carry.
        """
        if self.body is None:
            return None
        try:
            return json.dumps(self.body, ensure_ascii=False, allow_nan=False, default=json_value).encode()
        except (TypeError, ValueError) as error:
            raise InvalidRequestError.of("body", f"it has a value that JSON cannot carry ({error})") from None

    def with_params(self, /, **params: Any) -> Call:
        """Return the same call with some query parameters added or replaced."""
        return replace(self, params={**self.params, **params})


@dataclass(frozen=True)
class Reply:
    """One reply: status, headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call(
    method: str,
    route: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    evidence: str = "seed",
    known_to: KnownTo = "both",
    needs: str = "",
    secrets: tuple[str, ...] = (),
    needs_data: bool = True,
    **ids: str,
) -> Call:
    """
    Build a call from a route such as ``/photo-requests/{request_id}`` and its ids.

    The route may have a query, whose parameters are sent as well as ``params``. The other parameters are those of
    :class:`Call`.

    :param ids: the values of the route's placeholders, by name.
    :raises InvalidRequestError: an id is empty, or has characters that no id has.
    """
    escaped = {name: quote(check_id(value, name), safe="") for name, value in ids.items()}
    path, _, query = route.format(**escaped).partition("?")
    in_route: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        in_route.setdefault(name, []).append(value)
    return Call(
        method,
        path,
        route.partition("?")[0],
        {**in_route, **(params or {})},
        body,
        evidence,
        known_to,
        needs,
        secrets,
        needs_data,
    )


def text_of_id(value: object) -> str | None:
    """Return an id of a reply as text, or None where there is none; a service may send it as an integer."""
    return (
        str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
    )


def path_fault(path: str) -> str:
    """Return why a user's path, which may have a query, cannot be called; empty where it can."""
    if "#" in path:
        return "it has a '#', which is never sent; write %23 for one in a name"
    bare = path.partition("?")[0]
    if "://" in bare or bare.startswith("//"):
        return "it is a whole URL; give the part after the connection's base URL, such as '/photo-requests?page=2'"
    # The HTTP library reads %2e as a dot.
    if {".", ".."} & set(unquote(bare).split("/")):
        return "it has a '.' or '..' between slashes, which leads out of the base URL"
    return ""


def _as_query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
