"""
The calls of Vizdom that no public page documents, as one table: the assumed value, how surely it is known, and why.

A connection replaces any row in its extra ``contract``, by name and without code: ``{"contract": {"start_path":
"/dashboards/{dashboard_id}/export", "done_words": ["success"]}}``. ``*_path`` is below the base URL and may have a
query, ``*_verb`` is the HTTP method, ``*_field`` the name of a JSON field, ``*_words`` the words that the service may
send (case does not matter). ``formats`` is a list of the formats that it offers, or a dict of its own words for them:
``{"xlsx": "Excel"}``.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from dataclasses import field, fields
from string import Formatter
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

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
    ("dashboard_field", "format_field", "options_field"),
    (*_SOURCE, "source_settings_field"),
    _SETTINGS,
    ("email_field", "role_field"),
)


def _placeholders(path: str) -> set[str] | None:
    """Return the names of a path's placeholders, or None where one is not plain."""
    try:
        parts = [part[1:] for part in Formatter().parse(path) if part[1] is not None]
    except ValueError:
        return None
    plain = all((spec, conversion) == ("", None) for _, spec, conversion in parts)
    return {str(name) for name, _, _ in parts} if plain else None


def _path(*must_hold: str, may_hold: tuple[str, ...] = ()) -> AfterValidator:
    def check(path: str) -> str:
        held = _placeholders(path)
        allowed = {*must_hold, *may_hold}
        if (
            not path.startswith("/")
            or path_fault(path)
            or held is None
            or not {*must_hold} <= held <= allowed
        ):
            inside = "".join(f" {{{name}}}" for name in sorted(allowed))
            raise ValueError(
                "it must be a path below the base URL, "
                + (f"with no placeholder but{inside}" if inside else "without placeholders")
            )
        return path

    return AfterValidator(check)


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _unique(words: tuple[str, ...]) -> tuple[str, ...]:
    if len({word.strip().lower() for word in words}) < len(words):
        raise ValueError("it must not have one twice")
    return words


def _formats_by_name(value: object) -> object:
    """Return a list of formats as a dict of the service's word by our name."""
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        value = dict(zip(_unique(tuple(value)), value, strict=True))
    for name in value if isinstance(value, Mapping) else ():
        if str(name).strip().lower() not in FORMATS:
            raise ValueError(
                f"it has {name!r}, but files that can be verified are {', '.join(FORMATS)}; where your Vizdom has a "
                'word of its own for one of these, give it as {"xlsx": "Excel"}'
            )
    return value


def _formats_once(formats: dict[str, str]) -> dict[str, str]:
    _unique(tuple(formats.values()))
    return formats


# A verb may only become one that is sent again after a lost reply in the same cases.
ReadVerb = Annotated[Literal["GET", "POST"], BeforeValidator(_upper)]
WriteVerb = Annotated[Literal["POST", "PUT", "PATCH"], BeforeValidator(_upper)]
DeleteVerb = Annotated[Literal["DELETE", "POST"], BeforeValidator(_upper)]

Path = Annotated[str, _path()]
StartPath = Annotated[str, _path(may_hold=("dashboard_id",))]
DashboardPath = Annotated[str, _path("dashboard_id")]
ExportPath = Annotated[str, _path("export_id")]
DataSourcePath = Annotated[str, _path("data_source_id")]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
OptionalName = Annotated[str, StringConstraints(strip_whitespace=True)]
LowerName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, to_lower=True)]
Words = Annotated[tuple[LowerName, ...], Field(min_length=1)]
OptionalWords = tuple[LowerName, ...]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
Formats = Annotated[
    dict[LowerName, Name],
    BeforeValidator(_formats_by_name),
    Field(min_length=1),
    AfterValidator(_formats_once),
]


def _row(value: str | tuple[str, ...] | dict[str, str], evidence: Evidence, why: str) -> Any:
    metadata = {"evidence": evidence, "why": why}
    if isinstance(value, dict):
        return field(default_factory=value.copy, metadata=metadata)
    return field(default=value, metadata=metadata)


class Row(NamedTuple):
    """One row of the table: a name, its value, how surely it is known, why it was chosen, and if it may be empty."""

    name: str
    value: str | tuple[str, ...]
    evidence: Evidence
    why: str
    may_be_empty: bool = False


@dataclass(frozen=True)
class VizdomContract:
    """Vizdom's undocumented calls as one connection has them; :func:`rows` describes each field."""

    dashboard_verb: ReadVerb = _row("GET", "inferred", "the reference shows the 404 of a dashboard's id")
    dashboard_path: DashboardPath = _row(
        "/dashboards/{dashboard_id}", "inferred", "the reference shows the 404 of a dashboard's id"
    )
    create_dashboard_verb: WriteVerb = _row(
        "POST", "assumed", f"{_REST}; 201 is in the reference's status table"
    )
    create_dashboard_path: Path = _row("/dashboards", "assumed", "the path of the documented list")
    dashboard_name_field: Name = _row("name", "assumed", "a field of GET /dashboards")
    dashboard_description_field: Name = _row("description", "assumed", "a field of GET /dashboards")
    dashboard_id_field: Name = _row("id", "assumed", "the id of a new dashboard; a field of GET /dashboards")

    start_verb: WriteVerb = _row("POST", "assumed", f"{_PEERS}; 201 is in the reference's status table")
    start_path: StartPath = _row("/exports", "assumed", _PEERS)
    dashboard_field: OptionalName = _row(
        "dashboard_id", "assumed", f"{_STYLE}; empty for none, where start_path holds {{dashboard_id}}"
    )
    format_field: Name = _row("format", "assumed", _PEERS)
    # The name in a DAG, and the word that is sent.
    formats: Formats = _row(
        {"pdf": "pdf", "png": "png", "csv": "csv"}, "assumed", "what comparable products share"
    )
    options_field: OptionalName = _row(
        "", "assumed", "the field that takes an export's options; empty where they are beside the format"
    )
    export_verb: ReadVerb = _row("GET", "assumed", _PEERS)
    export_path: ExportPath = _row("/exports/{export_id}", "assumed", _PEERS)
    id_field: Name = _row("id", "assumed", f"an export's id; {_STYLE}")
    status_field: Name = _row("status", "assumed", f"an export's status word; {_PEERS}")
    url_field: Name = _row("download_url", "assumed", f"the link to an export's file; {_PEERS}")
    urls_field: OptionalName = _row(
        "download_urls", "assumed", f"the links of an export that has several files; {_PEERS}"
    )
    files_field: OptionalName = _row(
        "files", "assumed", "the same with names: a list of objects with the next two fields"
    )
    file_url_field: Name = _row("url", "assumed", "the link to one of several files")
    file_name_field: OptionalName = _row("name", "assumed", "what one of several files is called")
    expires_field: OptionalName = _row("expires_at", "assumed", f"when that link ends; {_STYLE}")
    error_field: OptionalName = _row("error", "assumed", "why an export failed, in the shape of errors")
    done_words: Words = _row(("completed",), "assumed", f"the file is ready; {_PEERS}")
    failed_words: OptionalWords = _row(("failed",), "assumed", f"there will be no file; {_PEERS}")
    open_words: OptionalWords = _row(("pending", "processing"), "assumed", f"it is not finished; {_PEERS}")

    data_sources_verb: ReadVerb = _row("GET", "assumed", _REST)
    data_sources_path: Path = _row("/data-sources", "assumed", "the app's words (Settings > Data Sources)")
    create_data_source_verb: WriteVerb = _row("POST", "assumed", _REST)
    create_data_source_path: Path = _row("/data-sources", "assumed", "the path of the list")
    test_data_source_verb: WriteVerb = _row("POST", "assumed", _PEERS)
    test_data_source_path: DataSourcePath = _row(
        "/data-sources/{data_source_id}/test", "assumed", 'the app has a button "Test Connection"'
    )
    delete_data_source_verb: DeleteVerb = _row("DELETE", "assumed", f"{_REST}; the app can delete one")
    delete_data_source_path: DataSourcePath = _row("/data-sources/{data_source_id}", "assumed", _REST)
    source_id_field: Name = _row("id", "assumed", _STYLE)
    source_name_field: Name = _row("name", "assumed", _STYLE)
    source_type_field: Name = _row("type", "assumed", _PEERS)
    source_settings_field: OptionalName = _row(
        "settings", "assumed", f"{_PEERS}; empty where the settings are beside the name"
    )
    source_status_field: OptionalName = _row("status", "assumed", _PEERS)
    source_created_field: OptionalName = _row("created_at", "assumed", _STYLE)
    host_field: Name = _row("host", "inferred", _FORM)
    port_field: Name = _row("port", "inferred", _FORM)
    database_field: Name = _row("database", "inferred", _FORM)
    username_field: Name = _row("username", "inferred", _FORM)
    password_field: Name = _row("password", "inferred", _FORM)
    test_status_field: Name = _row("status", "assumed", "a word, or true and false")
    test_message_field: OptionalName = _row("message", "assumed", "the app shows an error with details")
    test_passed_words: OptionalWords = _row(
        ("success", "passed", "connected", "ok"), "assumed", 'the app shows "success"'
    )
    test_failed_words: OptionalWords = _row(
        ("error", "failed", "failure"), "assumed", "the app shows an error"
    )

    members_verb: ReadVerb = _row("GET", "assumed", _REST)
    members_path: Path = _row("/members", "assumed", "the help page speaks of members")
    member_id_field: Name = _row("id", "assumed", _STYLE)
    invite_verb: WriteVerb = _row("POST", "assumed", _REST)
    invite_path: Path = _row("/invites", "assumed", 'the app has a list "Pending invites"')
    invite_id_field: OptionalName = _row("id", "assumed", f"{_STYLE}; an invite may have none")
    invite_status_field: OptionalName = _row("status", "assumed", _PEERS)
    email_field: Name = _row("email", "assumed", "one is invited by e-mail with a role (access-control)")
    role_field: Name = _row("role", "assumed", "one is invited by e-mail with a role (access-control)")
    roles: Names = _row(
        ("admin", "editor", "viewer"),
        "assumed",
        "access-control has these roles; that the API takes them in lower case is a guess",
    )
    invited_words: OptionalWords = _row(
        (
            "already a member",
            "already invited",
            "already been invited",
            "already exists",
            "already been taken",
        ),
        "assumed",
        "a 400 or 422 with one of these means that the address is there already, as a 409 does",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> VizdomContract:
        if not self.dashboard_field and not _placeholders(self.start_path):
            raise ValueError(
                "start_path must hold {dashboard_id} where dashboard_field is empty: an export needs one"
            )
        beside = () if self.source_settings_field else ((*_SOURCE, *_SETTINGS),)
        for names in (*_BODIES, *beside):
            for first, second in itertools.combinations(names, 2):
                if getattr(self, first) and getattr(self, first) == getattr(self, second):
                    raise ValueError(f"{first} and {second} must not be the same")
        return self

    def format_of(self, word: object) -> str:
        """Return what a DAG calls the format for which the service has this word."""
        text = str(word or "").strip().lower()
        return next((ours for ours, theirs in self.formats.items() if theirs.lower() == text), text)

    @classmethod
    def with_changes(cls, changes: object) -> VizdomContract:
        """
        Return the contract with some values replaced.

        :param changes: a dict by the table's names, or None.
        :raises InvalidRequestError: a name is unknown, a value is of the wrong form, or two values contradict.
        """
        if not changes:
            return cls()
        if not isinstance(changes, Mapping):
            raise InvalidRequestError.of(
                "contract", "the connection's extra `contract` must be a JSON object"
            )
        known = {row.name for row in fields(cls)}
        for name in changes:
            if name not in known:
                raise InvalidRequestError.of("contract", _unknown(str(name), known))
        try:
            return cls(**changes)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            row = f"{first['loc'][0]}: " if first["loc"] else ""
            message = first["msg"].removeprefix("Value error, ")
            raise InvalidRequestError.of("contract", f"{row}{message}") from None


def rows(contract: VizdomContract | None = None) -> list[Row]:
    """Return the table of one connection's contract; without one, of the defaults."""
    contract = contract or VizdomContract()
    found = []
    for row in fields(VizdomContract):
        value = getattr(contract, row.name)
        value = tuple(value.values()) if isinstance(value, Mapping) else value
        may_be_empty = row.type in {"OptionalName", "OptionalWords"}
        found.append(Row(row.name, value, row.metadata["evidence"], row.metadata["why"], may_be_empty))
    return found


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{name!r} is not one of its names{meant} They are {', '.join(sorted(known))}"
