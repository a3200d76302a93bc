"""
The calls of Vizdom that no public page documents, as one table: what each is taken to be, how surely, and why.

A connection replaces any row in its extra ``contract``, by name and without code: ``{"contract": {"start_path":
"/dashboards/{dashboard_id}/export", "done_words": ["success"]}}``. ``*_path`` is below the base URL and may have a
query, ``*_verb`` the HTTP method, ``*_field`` the name of a JSON field, ``*_words`` what the service may say (case does
not matter). ``formats`` is a list of those that it makes, in its own case, or has its own words: ``{"xlsx": "Excel"}``.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from string import Formatter
from typing import Any, Literal, NamedTuple

from airflow_provider_visio.api.call import path_fault
from airflow_provider_visio.api.export_format import FORMATS
from airflow_provider_visio.exceptions import InvalidRequestError

Evidence = Literal["docs", "inferred", "assumed"]

_PEERS = "as comparable products do"
_REST = "the usual shape of a REST call"
_STYLE = "the field style of GET /dashboards"
_FORM = "a field of the app's form (features/data-sources); its name in the API is inferred"

_SOURCE = ("source_name_field", "source_type_field")
_SETTINGS = ("host_field", "port_field", "database_field", "username_field", "password_field")
# Fields that go into one body.
_BODIES = (
    ("dashboard_name_field", "dashboard_description_field"),
    ("dashboard_field", "format_field"),
    (*_SOURCE, "source_settings_field"),
    _SETTINGS,
    ("email_field", "role_field"),
)

# A verb may only become one that is sent again after a lost reply just as (un)willingly.
_VERBS = {"GET": ("GET", "POST"), "POST": ("POST", "PUT", "PATCH"), "DELETE": ("DELETE", "POST")}


def _row(
    value: str | tuple[str, ...],
    evidence: Evidence,
    why: str,
    *,
    may_hold: Collection[str] = (),
    may_be_empty: bool = False,
    keeps_case: bool = False,
) -> Any:
    about = {"may_hold": may_hold, "may_be_empty": may_be_empty, "keeps_case": keeps_case}
    return field(default=value, metadata={"evidence": evidence, "why": why, **about})


def _mapping(value: dict[str, str], evidence: Evidence, why: str) -> Any:
    about = {"evidence": evidence, "why": why, "may_be_empty": False, "keeps_case": True}
    return field(default_factory=value.copy, metadata=about)


class Row(NamedTuple):
    """One row of the table: a name, its value, how surely that is known, why it was chosen, and if it may be empty."""

    name: str
    value: str | tuple[str, ...]
    evidence: Evidence
    why: str
    may_be_empty: bool = False


@dataclass(frozen=True)
class VizdomContract:
    """Vizdom's undocumented calls as one connection has them; :func:`rows` tells about each field."""

    dashboard_verb: str = _row("GET", "inferred", "the reference shows the 404 of a dashboard's id")
    dashboard_path: str = _row(
        "/dashboards/{dashboard_id}", "inferred", "the reference shows the 404 of a dashboard's id"
    )
    create_dashboard_verb: str = _row("POST", "assumed", f"{_REST}; 201 is in the reference's status table")
    create_dashboard_path: str = _row("/dashboards", "assumed", "the path of the documented list")
    dashboard_name_field: str = _row("name", "assumed", "a field of GET /dashboards")
    dashboard_description_field: str = _row("description", "assumed", "a field of GET /dashboards")
    dashboard_id_field: str = _row("id", "assumed", "of a dashboard just made; a field of GET /dashboards")

    start_verb: str = _row("POST", "assumed", f"{_PEERS}; 201 is in the reference's status table")
    start_path: str = _row("/exports", "assumed", _PEERS, may_hold={"dashboard_id"})
    dashboard_field: str = _row(
        "dashboard_id",
        "assumed",
        f"{_STYLE}; empty for none, where start_path holds {{dashboard_id}}",
        may_be_empty=True,
    )
    format_field: str = _row("format", "assumed", _PEERS)
    # What a DAG asks for, and the word that the service is sent.
    formats: Mapping[str, str] = _mapping(
        {"pdf": "pdf", "png": "png", "csv": "csv"}, "assumed", "what comparable products share"
    )
    export_verb: str = _row("GET", "assumed", _PEERS)
    export_path: str = _row("/exports/{export_id}", "assumed", _PEERS)
    id_field: str = _row("id", "assumed", f"an export's id; {_STYLE}")
    status_field: str = _row("status", "assumed", f"an export's status word; {_PEERS}")
    url_field: str = _row("download_url", "assumed", f"the link to an export's file; {_PEERS}")
    expires_field: str = _row("expires_at", "assumed", f"when that link ends; {_STYLE}", may_be_empty=True)
    error_field: str = _row(
        "error", "assumed", "why an export failed, in the shape of errors", may_be_empty=True
    )
    done_words: tuple[str, ...] = _row(("completed",), "assumed", f"the file is ready; {_PEERS}")
    failed_words: tuple[str, ...] = _row(
        ("failed",), "assumed", f"there will be no file; {_PEERS}", may_be_empty=True
    )
    open_words: tuple[str, ...] = _row(
        ("pending", "processing"), "assumed", f"it is being made; {_PEERS}", may_be_empty=True
    )

    data_sources_verb: str = _row("GET", "assumed", _REST)
    data_sources_path: str = _row("/data-sources", "assumed", "the app's words (Settings > Data Sources)")
    create_data_source_verb: str = _row("POST", "assumed", _REST)
    create_data_source_path: str = _row("/data-sources", "assumed", "the path of the list")
    test_data_source_verb: str = _row("POST", "assumed", _PEERS)
    test_data_source_path: str = _row(
        "/data-sources/{data_source_id}/test", "assumed", 'the app has a button "Test Connection"'
    )
    delete_data_source_verb: str = _row("DELETE", "assumed", f"{_REST}; the app can delete one")
    delete_data_source_path: str = _row("/data-sources/{data_source_id}", "assumed", _REST)
    source_id_field: str = _row("id", "assumed", _STYLE)
    source_name_field: str = _row("name", "assumed", _STYLE)
    source_type_field: str = _row("type", "assumed", _PEERS)
    source_settings_field: str = _row(
        "settings", "assumed", f"{_PEERS}; empty where they stand beside the name", may_be_empty=True
    )
    source_status_field: str = _row("status", "assumed", _PEERS, may_be_empty=True)
    source_created_field: str = _row("created_at", "assumed", _STYLE, may_be_empty=True)
    host_field: str = _row("host", "inferred", _FORM)
    port_field: str = _row("port", "inferred", _FORM)
    database_field: str = _row("database", "inferred", _FORM)
    username_field: str = _row("username", "inferred", _FORM)
    password_field: str = _row("password", "inferred", _FORM)
    test_status_field: str = _row("status", "assumed", "a word, or true and false")
    test_message_field: str = _row(
        "message", "assumed", "the app shows an error with details", may_be_empty=True
    )
    test_passed_words: tuple[str, ...] = _row(
        ("success", "passed", "connected", "ok"), "assumed", 'the app tells "success"', may_be_empty=True
    )
    test_failed_words: tuple[str, ...] = _row(
        ("error", "failed", "failure"), "assumed", "the app tells an error", may_be_empty=True
    )

    members_verb: str = _row("GET", "assumed", _REST)
    members_path: str = _row("/members", "assumed", "the help page speaks of members")
    member_id_field: str = _row("id", "assumed", _STYLE)
    invite_verb: str = _row("POST", "assumed", _REST)
    invite_path: str = _row("/invites", "assumed", 'the app has a list "Pending invites"')
    invite_id_field: str = _row(
        "id", "assumed", f"{_STYLE}; an invite without one will do", may_be_empty=True
    )
    invite_status_field: str = _row("status", "assumed", _PEERS, may_be_empty=True)
    email_field: str = _row("email", "assumed", "one is invited by e-mail with a role (access-control)")
    role_field: str = _row("role", "assumed", "one is invited by e-mail with a role (access-control)")
    roles: tuple[str, ...] = _row(
        ("admin", "editor", "viewer"),
        "assumed",
        "access-control has these roles; that the API takes them in lower case is a guess",
        keeps_case=True,
    )
    invited_words: tuple[str, ...] = _row(
        (
            "already a member",
            "already invited",
            "already been invited",
            "already exists",
            "already been taken",
        ),
        "assumed",
        "by one of these a 400 or 422 is told to be of an address that is there; a 409 always is",
        may_be_empty=True,
    )

    def format_of(self, word: object) -> str:
        """Return what a DAG calls the format for which the service has this word."""
        text = str(word or "").strip().lower()
        return next((ours for ours, theirs in self.formats.items() if theirs.lower() == text), text)

    @classmethod
    def with_changes(cls, changes: object) -> VizdomContract:
        """
        Return the contract with some values replaced.

        :param changes: a dict by the table's names, or None.
        :raises InvalidRequestError: a name that is not one of them, a value that cannot be, or two that cannot be
            together.
        """
        if not changes:
            return cls()
        if not isinstance(changes, Mapping):
            raise InvalidRequestError.of(
                "contract", "the connection's extra `contract` must be a JSON object"
            )
        about = {one.name: one for one in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in about:
                raise InvalidRequestError.of("contract", _unknown(str(name), about))
            values[name] = _checked(name, value, getattr(cls(), name), about[name].metadata)
        contract = replace(cls(), **values)
        _check_together(contract)
        return contract


def rows(contract: VizdomContract | None = None) -> list[Row]:
    """Return the table: of one connection's contract, or of what is taken to be where a connection says nothing."""
    contract = contract or VizdomContract()
    return [
        Row(
            one.name,
            _words_of(getattr(contract, one.name)),
            one.metadata["evidence"],
            one.metadata["why"],
            one.metadata["may_be_empty"],
        )
        for one in fields(VizdomContract)
    ]


def _words_of(value: Any) -> str | tuple[str, ...]:
    return tuple(value.values()) if isinstance(value, Mapping) else value


def _unknown(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{name!r} is not one of its names{meant} They are {', '.join(sorted(known))}"


def _checked(name: str, value: object, default: object, about: Mapping[str, Any]) -> object:
    if isinstance(default, Mapping):
        return _formats(name, value, about)
    if isinstance(default, tuple):
        return _words(name, value, about)
    if not isinstance(value, str) or not isinstance(default, str):
        raise InvalidRequestError.of("contract", f"{name} must be text")
    if name.endswith("_verb"):
        return _verb(name, value, default)
    if name.endswith("_path"):
        must_hold = _placeholders(default) or set()
        return _path(name, value, default, must_hold, must_hold | set(about["may_hold"]))
    if not value.strip() and not about["may_be_empty"]:
        raise InvalidRequestError.of("contract", f"{name} must not be empty")
    return value.strip()


def _check_together(contract: VizdomContract) -> None:
    if not contract.dashboard_field and not _placeholders(contract.start_path):
        raise InvalidRequestError.of(
            "contract",
            "start_path must hold {dashboard_id} where dashboard_field is empty: an export is of one",
        )
    beside = () if contract.source_settings_field else ((*_SOURCE, *_SETTINGS),)
    for names in (*_BODIES, *beside):
        for one, other in itertools.combinations(names, 2):
            if getattr(contract, one) == getattr(contract, other):
                raise InvalidRequestError.of("contract", f"{one} and {other} must not be the same")


def _formats(name: str, value: object, about: Mapping[str, Any]) -> dict[str, str]:
    """Return the service's word for each format that it makes."""
    words = _words(name, list(value.values()) if isinstance(value, Mapping) else value, about)
    found: dict[str, str] = {}
    for ours, theirs in zip(value if isinstance(value, Mapping) else words, words, strict=True):
        known = str(ours).strip().lower()
        if known not in FORMATS:
            raise InvalidRequestError.of(
                "contract",
                f"{name} has {ours!r}, but files that can be verified are {', '.join(FORMATS)}; where your "
                f'Vizdom has a word of its own for one of these, give it as {{"xlsx": "Excel"}}',
            )
        found[known] = theirs
    if len({word.lower() for word in found.values()}) < len(words):
        raise InvalidRequestError.of("contract", f"{name} must not have one twice")
    return found


def _words(name: str, value: object, about: Mapping[str, Any]) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise InvalidRequestError.of("contract", f"{name} must be a list of words")
    words = tuple(word.strip() if about["keeps_case"] else word.strip().lower() for word in value)
    if not all(words):
        raise InvalidRequestError.of("contract", f"{name} must not have an empty word")
    if not words and not about["may_be_empty"]:
        raise InvalidRequestError.of("contract", f"{name} must not be empty")
    return words


def _verb(name: str, value: str, default: str) -> str:
    verb, good = value.strip().upper(), _VERBS[default]
    if verb not in good:
        raise InvalidRequestError.of("contract", f"{name} must be one of {', '.join(good)}")
    return verb


def _path(name: str, value: str, default: str, must_hold: set[str], may_hold: set[str]) -> str:
    held = _placeholders(value)
    if not value.startswith("/") or path_fault(value) or held is None or not must_hold <= held <= may_hold:
        allowed = "".join(f" and {{{one}}}" for one in sorted(may_hold))
        inside = (
            f", with no placeholder but{allowed.removeprefix(' and')}"
            if allowed
            else ", without placeholders"
        )
        raise InvalidRequestError.of(
            "contract", f"{name} must be a path below the base URL such as '{default}'{inside}"
        )
    return value


def _placeholders(path: str) -> set[str] | None:
    """Return the names of a path's placeholders, or None where it has some that are not plain."""
    try:
        parts = [part[1:] for part in Formatter().parse(path) if part[1] is not None]
    except ValueError:
        return None
    plain = all((spec, conversion) == ("", None) for _, spec, conversion in parts)
    return {str(name) for name, _, _ in parts} if plain else None
