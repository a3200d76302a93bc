"""
Vizdom's API: one function an endpoint makes the call, and the readers take the replies.

Only ``GET /dashboards`` is documented (seed). The export calls follow :class:`ExportContract`, a proposal of ours
(**assumed**): every path, field and status word of it can be replaced from the connection's extra ``contract``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from string import Formatter
from typing import Any, TypedDict

from airflow_provider_visio.api.call import Call, call
from airflow_provider_visio.api.export_format import check_format
from airflow_provider_visio.api.reply import said
from airflow_provider_visio.api.site import Service, Site
from airflow_provider_visio.exceptions import InvalidRequestError

VIZDOM = Service(
    name="Vizdom",
    default_base_url="https://api.vizdom.ai/v1",  # seed
    auth_header="Authorization",  # seed
    auth_prefix="Bearer ",  # seed
)


class Dashboard(TypedDict, total=False):
    """A dashboard as the service returns it (seed); fields we do not know are kept."""

    id: str
    name: str
    description: str | None
    created_at: str
    updated_at: str
    visualization_count: int


class Export(TypedDict, total=False):
    """An export (assumed); fields are named as here whatever the contract calls them, the others are kept."""

    id: str
    dashboard_id: str
    format: str
    status: str
    download_url: str | None
    expires_at: str | None
    error: Any
    created_at: str


@dataclass(frozen=True)
class ExportContract:
    """
    How exports are started, watched and fetched: **assumed**, for no public page says.

    Give other values in the connection's extra, for example ``{"contract": {"start_path":
    "/dashboards/{dashboard_id}/export", "done_words": ["success"]}}``.

    :param start_path: POST here to start; may hold ``{dashboard_id}``.
    :param export_path: GET here to ask; holds ``{export_id}``.
    :param dashboard_field: body field with the dashboard's id; empty for none, when the path holds it.
    :param format_field: body field with the format.
    :param formats: formats the service makes.
    :param id_field: reply field with the export's id.
    :param status_field: reply field with the status word.
    :param url_field: reply field with the file's link.
    :param expires_field: reply field with the time at which that link expires.
    :param error_field: reply field that says why an export failed.
    :param done_words: status words of an export whose file is ready.
    :param failed_words: status words of an export that will never be.
    :param open_words: status words of an export that is still being made.
    """

    start_path: str = "/exports"
    export_path: str = "/exports/{export_id}"
    dashboard_field: str = "dashboard_id"
    format_field: str = "format"
    formats: tuple[str, ...] = ("pdf", "png", "csv")
    id_field: str = "id"
    status_field: str = "status"
    url_field: str = "download_url"
    expires_field: str = "expires_at"
    error_field: str = "error"
    done_words: tuple[str, ...] = ("completed",)
    failed_words: tuple[str, ...] = ("failed",)
    open_words: tuple[str, ...] = ("pending", "processing")

    @classmethod
    def with_changes(cls, changes: object) -> ExportContract:
        """
        Return the contract with some values replaced.

        :param changes: a dict by the names above, or None.
        :raises InvalidRequestError: a name that is not one of them, or a value of the wrong type.
        """
        if not changes:
            return cls()
        if not isinstance(changes, Mapping):
            raise InvalidRequestError.of(
                "contract", "the connection's extra `contract` must be a JSON object"
            )
        names = {field.name for field in fields(cls)}
        known: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in names:
                raise InvalidRequestError.of("contract", f"{name!r} is not one of {', '.join(sorted(names))}")
            known[name] = _as_default(name, value, getattr(cls(), name))
        contract = replace(cls(), **known)
        _check_path("start_path", contract.start_path, may_hold={"dashboard_id"})
        _check_path("export_path", contract.export_path, may_hold={"export_id"}, must_hold={"export_id"})
        for name in ("format_field", "id_field", "status_field", "url_field"):
            if not getattr(contract, name).strip():
                raise InvalidRequestError.of("contract", f"{name} must not be empty")
        return contract


def _check_path(name: str, path: str, *, may_hold: set[str], must_hold: Collection[str] = ()) -> None:
    try:
        parts = [part[1:] for part in Formatter().parse(path) if part[1] is not None]
    except ValueError:
        parts = [(path, "", None)]
    held = {field for field, _, _ in parts}
    plain = all((spec, conversion) == ("", None) for _, spec, conversion in parts)
    if not path.startswith("/") or not plain or not set(must_hold) <= held <= may_hold:
        example = "".join(f"/.../{{{field}}}" for field in sorted(may_hold))
        raise InvalidRequestError.of(
            "contract", f"{name} must be a path below the base URL, such as '{example}'"
        )


def _as_default(name: str, value: object, default: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(default, str) and isinstance(value, str):
        return value
    if (
        isinstance(default, tuple)
        and isinstance(value, list | tuple)
        and all(isinstance(v, str) for v in value)
    ):
        return tuple(v.lower() for v in value)
    wanted = "text" if isinstance(default, str) else "a list of words"
    raise InvalidRequestError.of("contract", f"{name} must be {wanted}")


def list_dashboards() -> Call:
    """List dashboards: the one documented call (seed)."""
    return call("GET", "/dashboards")


def get_dashboard(dashboard_id: str) -> Call:
    """One dashboard (inferred from the seed's error example)."""
    return call("GET", "/dashboards/{dashboard_id}", dashboard_id=dashboard_id, evidence="inferred")


def create_export(dashboard_id: str, export_format: str, contract: ExportContract) -> Call:
    """
    Start an export (assumed).

    :raises InvalidRequestError: the contract has no such format.
    """
    export_format = check_format(export_format)
    if export_format not in contract.formats:
        raise InvalidRequestError.of(
            "export_format",
            f"{export_format!r} is not one of {', '.join(contract.formats)}; "
            "if your Vizdom makes it, name it in `contract.formats` of the connection's extras",
        )
    start = call("POST", contract.start_path, evidence="assumed", dashboard_id=dashboard_id)
    body = {contract.format_field: export_format}
    if contract.dashboard_field:
        body[contract.dashboard_field] = dashboard_id
    return replace(start, body=body)


def get_export(export_id: str, contract: ExportContract) -> Call:
    """Ask how an export is doing (assumed)."""
    return call("GET", contract.export_path, export_id=export_id, evidence="assumed")


def failure_of(export: Mapping[str, Any], site: Site) -> str:
    """Return the service's words on why an export failed, as far as it gives any, without what is secret in them."""
    error = export.get("error")
    words = error.get("message") or error.get("code") if isinstance(error, Mapping) else error
    return said(" ".join(str(words or "").split()), site)


def read_export(data: Mapping[str, Any], contract: ExportContract) -> Export:
    """Return an export under our own field names, whatever the contract calls them."""
    export: Export = {**data}  # type: ignore[typeddict-item]
    renamed = {
        "id": contract.id_field,
        "status": contract.status_field,
        "download_url": contract.url_field,
        "expires_at": contract.expires_field,
        "error": contract.error_field,
        "format": contract.format_field,
    }
    for ours, theirs in renamed.items():
        if theirs in data:
            export[ours] = data[theirs]  # type: ignore[literal-required]
    return export
