"""
Vizdom's API: one function per endpoint builds the call, and the readers take the replies.

Only ``GET /dashboards`` is documented (seed). All other calls follow the table in
:mod:`airflow_provider_visio.api.vizdom_contract`, every row of which a connection can replace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from airflow_provider_visio.api.call import Call, call
from airflow_provider_visio.api.config import Service, ServiceConfig
from airflow_provider_visio.api.export_format import check_format, check_options
from airflow_provider_visio.api.plain_values import text_of
from airflow_provider_visio.api.reply import redact
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.exceptions import InvalidRequestError

VIZDOM = Service(
    name="Vizdom",
    default_base_url="https://api.vizdom.ai/v1",  # seed
    auth_header="Authorization",  # seed
    auth_prefix="Bearer ",  # seed
    key_page="Settings > API Keys in Vizdom",  # docs
    # docs (access-control), as are the roles.
    denied_advice="A key has its creator's role: Admins can do everything, Editors everything except invite, Viewers "
    "have no API access. Put the key of an Admin or Editor into the connection's Password, or restore the user's role.",
)

DEFAULTS = VizdomContract()


class Dashboard(TypedDict, total=False):
    """A dashboard as the service returns it (seed); fields we do not know are kept."""

    id: str
    name: str
    description: str | None
    created_at: str
    updated_at: str
    visualization_count: int


class ExportFile(TypedDict):
    """A file of an export (assumed); ``name`` is None where the service gives none."""

    url: str
    name: str | None


class Export(TypedDict, total=False):
    """An export (assumed); fields are named as here whatever the contract calls them, the others are kept."""

    id: str
    dashboard_id: str
    format: str
    status: str
    download_url: str | None
    files: list[ExportFile]
    expires_at: str | None
    error: Any
    created_at: str


def list_dashboards() -> Call:
    """List dashboards: the one documented call (seed)."""
    return call("GET", "/dashboards")


def get_dashboard(dashboard_id: str, contract: VizdomContract = DEFAULTS) -> Call:
    """One dashboard (inferred from the seed's error example)."""
    return call(
        contract.dashboard_verb, contract.dashboard_path, dashboard_id=dashboard_id, evidence="inferred"
    )


def create_dashboard(
    name: str, description: str | None, fields: Mapping[str, Any], contract: VizdomContract
) -> Call:
    """
    Create a dashboard (assumed).

    :raises InvalidRequestError: the name is empty.
    """
    body = {contract.dashboard_name_field: check_filled("name", name), **fields}
    if description is not None:
        body[contract.dashboard_description_field] = text_of(description)
    return call(contract.create_dashboard_verb, contract.create_dashboard_path, body=body, evidence="assumed")


def read_dashboard(data: Mapping[str, Any], contract: VizdomContract) -> Dashboard:
    """Return a new dashboard with its id under our own field name."""
    return {**data, "id": data[contract.dashboard_id_field]}  # type: ignore[typeddict-item]


def create_export(
    dashboard_id: str,
    export_format: str,
    contract: VizdomContract,
    options: Mapping[str, Any] | None = None,
) -> Call:
    """
    Start an export (assumed).

    :raises InvalidRequestError: the contract has no such format, or the options replace one of its own fields.
    """
    export_format = check_format(export_format)
    word = contract.formats.get(export_format)
    if word is None:
        raise InvalidRequestError.of(
            "export_format",
            f"{export_format!r} is not one of {', '.join(contract.formats)}; "
            "if your Vizdom makes it, name it in `contract.formats` of the connection's extras",
        )
    start = call(contract.start_verb, contract.start_path, evidence="assumed", dashboard_id=dashboard_id)
    body: dict[str, Any] = {contract.format_field: word}
    given_by = {contract.format_field: "export_format"}
    if contract.dashboard_field:
        body[contract.dashboard_field] = dashboard_id
        given_by[contract.dashboard_field] = "dashboard_id"
    if contract.options_field:
        wanted = check_options(options, {})
        body |= {contract.options_field: wanted} if wanted else {}
    else:
        body |= check_options(options, given_by)
    return replace(start, body=body)


def get_export(export_id: str, contract: VizdomContract) -> Call:
    """Get an export with its status (assumed)."""
    return call(contract.export_verb, contract.export_path, export_id=export_id, evidence="assumed")


def failure_of(export: Mapping[str, Any], config: ServiceConfig) -> str:
    """Return the service's reason for a failed export without secrets; empty where it gives none."""
    error = export.get("error")
    words = error.get("message") or error.get("code") if isinstance(error, Mapping) else error
    return redact(" ".join(str(words or "").split()), config)


def read_export(data: Mapping[str, Any], contract: VizdomContract) -> Export:
    """Return an export under our own field names, whatever the contract calls them."""
    names = {
        "id": contract.id_field,
        "dashboard_id": contract.dashboard_field,
        "status": contract.status_field,
        "download_url": contract.url_field,
        "expires_at": contract.expires_field,
        "error": contract.error_field,
        "format": contract.format_field,
    }
    return {**renamed(data, names), "files": _files_in(data, contract)}  # type: ignore[typeddict-item]


def _files_in(data: Mapping[str, Any], contract: VizdomContract) -> list[ExportFile]:
    """Return the links to an export's files: of several, or of one; empty where the reply has none."""
    lists = (data.get(name) for name in (contract.files_field, contract.urls_field, contract.url_field))
    one = data.get(contract.url_field)
    entries = next((found for found in lists if found and isinstance(found, list)), [one] if one else [])
    files: list[ExportFile] = []
    for entry in entries:
        about = entry if isinstance(entry, Mapping) else {contract.file_url_field: entry}
        name = about.get(contract.file_name_field)
        files.append(
            {"url": str(about.get(contract.file_url_field) or ""), "name": str(name) if name else None}
        )
    return files


def renamed(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a reply's object with some fields also under our names; ``names`` has the contract's by ours."""
    return {**data, **{ours: data[theirs] for ours, theirs in names.items() if theirs and theirs in data}}


def check_filled(name: str, value: object) -> str:
    """
    Return a text without the blanks around it.

    :raises InvalidRequestError: it is not text, or empty.
    """
    text = text_of(value)
    if not isinstance(text, str) or not text.strip():
        raise InvalidRequestError.of(name, "it must be text that is not empty")
    return text.strip()
