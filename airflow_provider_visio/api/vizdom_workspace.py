"""Vizdom's data sources and team: all calls are assumed, as in the table of :mod:`.vizdom_contract`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_visio.api.call import Call, call, text_of_id
from airflow_provider_visio.api.plain_values import text_of
from airflow_provider_visio.api.reply import redact
from airflow_provider_visio.api.vizdom import DEFAULTS, check_filled, renamed
from airflow_provider_visio.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.api.vizdom_contract import VizdomContract

# The settings of a data source that are not secret; all others are taken for secrets.
_OPEN = frozenset({"host", "port", "database", "schema", "username", "user", "ssl_mode", "sslmode"})

# Names of secrets elsewhere in a reply, without marks between their words.
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase|code)|pwd|secret|token|credential|private|keys?$|key(file|data|json)|serviceaccount|"
    r"authorization|dsn$|connectionstring|certificate"
)
# The password in a URL such as postgresql://user:password@host/db.
_URL_PASSWORD = re.compile(r"(://[^/\s:@]{0,200}:)\S{1,500}@")

# A shorter secret would match parts of ordinary words.
LEAST_SECRET = 4


class DataSource(TypedDict, total=False):
    """A data source; fields are named as here whatever the contract calls them, the others are kept."""

    id: str
    name: str
    type: str
    status: str
    created_at: str


class SourceTest(TypedDict, total=False):
    """The result of a data source's test; ``success`` is None for a word that is not in the contract."""

    id: str
    success: bool | None
    status: Any
    message: str


class Member(TypedDict, total=False):
    """Somebody in the workspace; fields are named as here whatever the contract calls them."""

    id: str
    email: str
    role: str


class Invite(TypedDict, total=False):
    """An invite; fields are named as here whatever the contract calls them."""

    id: str
    email: str
    role: str
    status: str


def list_data_sources(contract: VizdomContract) -> Call:
    """List data sources (assumed)."""
    return call(contract.data_sources_verb, contract.data_sources_path, evidence="assumed")


def create_data_source(
    name: str, source_type: str, settings: Mapping[str, Any], contract: VizdomContract
) -> Call:
    """
    Connect a data source (assumed).

    :raises InvalidRequestError: name or type is empty, or the settings are not a dict.
    """
    about = {
        contract.source_name_field: check_filled("name", name),
        contract.source_type_field: check_filled("source_type", source_type),
    }
    if not isinstance(settings, Mapping) or not settings:
        raise InvalidRequestError.of("settings", "give a dict such as {'host': ..., 'database': ...}")
    # A native template makes a number of a password that is one.
    texts = {contract.username_field, contract.password_field, contract.database_field}
    settings = {name: text_of(value) if name in texts else value for name, value in settings.items()}
    inside = contract.source_settings_field
    return call(
        contract.create_data_source_verb,
        contract.create_data_source_path,
        body={**about, inside: settings} if inside else {**settings, **about},
        evidence="assumed",
        secrets=tuple(secrets_in(settings, contract)),
    )


def test_data_source(data_source_id: str, contract: VizdomContract) -> Call:
    """Let the service test a data source (assumed)."""
    return call(
        contract.test_data_source_verb,
        contract.test_data_source_path,
        data_source_id=data_source_id,
        evidence="assumed",
        needs_data=False,
    )


def delete_data_source(data_source_id: str, contract: VizdomContract) -> Call:
    """Delete a data source (assumed)."""
    return call(
        contract.delete_data_source_verb,
        contract.delete_data_source_path,
        data_source_id=data_source_id,
        evidence="assumed",
        needs_data=False,
    )


def list_members(contract: VizdomContract) -> Call:
    """List the workspace's members (assumed)."""
    return call(contract.members_verb, contract.members_path, evidence="assumed")


def invite_member(email: str, role: str, contract: VizdomContract) -> Call:
    """
    Invite somebody (assumed).

    :raises InvalidRequestError: the address is empty, or the role is unknown.
    """
    body = {
        contract.email_field: check_filled("email", email),
        contract.role_field: check_role(role, contract),
    }
    return call(contract.invite_verb, contract.invite_path, body=body, evidence="assumed", needs_data=False)


def check_role(role: object, contract: VizdomContract) -> str:
    """
    Return a role as the service spells it.

    :raises InvalidRequestError: the role is not in the contract.
    """
    wanted = role.strip().lower() if isinstance(role, str) else role
    for known in contract.roles:
        if known.lower() == wanted:
            return known
    raise InvalidRequestError.of("role", f"{role!r} is not one of {', '.join(contract.roles)}")


def connection_settings(
    *, host: str | None, port: int | None, schema: str | None, login: str | None, password: str | None,
    contract: VizdomContract,
) -> dict[str, Any]:  # fmt: skip
    """Return a database connection's fields as settings of a data source; empty ones are left out."""
    settings = {
        contract.host_field: host,
        contract.port_field: port,
        contract.database_field: schema,
        contract.username_field: login,
        contract.password_field: password,
    }
    return {name: value for name, value in settings.items() if value not in (None, "")}


def secrets_in(settings: object, contract: VizdomContract = DEFAULTS) -> Iterator[str]:
    """Iterate over the secret texts of a data source's settings: all but those known to be harmless."""
    if not isinstance(settings, Mapping):
        yield from _texts(settings)
        return
    for name, value in settings.items():
        if not _is_open(name, contract):
            yield from _texts(text_of(value) if name == contract.password_field else value)


def read_data_source(data: Mapping[str, Any], contract: VizdomContract) -> DataSource:
    """Return a data source under our own field names, without the secrets of its settings."""
    inside = contract.source_settings_field
    names = {
        "id": contract.source_id_field,
        "name": contract.source_name_field,
        "type": contract.source_type_field,
        "status": contract.source_status_field,
        "created_at": contract.source_created_field,
    }
    redacted = _without_secrets(data, contract, open_names=names.values())
    if inside and isinstance(settings := data.get(inside), Mapping):
        redacted[inside] = {
            name: _without_secrets(value, contract) if _is_open(name, contract) else "***"
            for name, value in settings.items()
        }
    return renamed(redacted, names)  # type: ignore[return-value]


def read_test(
    data: object, data_source_id: str, contract: VizdomContract, config: ServiceConfig
) -> SourceTest:
    """
    Return the result of a test, without secrets of the data source.

    A reply without a body counts as passed, because a failure has a reason.
    """
    ours = {contract.test_status_field, contract.test_message_field}
    result = _without_secrets(data, contract, open_names=ours) if isinstance(data, Mapping) else {}
    status = result.get(contract.test_status_field)
    words = result.get(contract.test_message_field) if contract.test_message_field else None
    words = words or result.get("error")
    if isinstance(words, Mapping):
        words = words.get("message") or words.get("code")
    return {
        **result,
        "id": data_source_id,
        "success": True if data is None else _passed(status, contract),
        "status": status,
        "message": redact(" ".join(str(words or "").split()), config),
    }


def read_member(data: Mapping[str, Any], contract: VizdomContract) -> Member:
    """Return a member under our own field names."""
    names = {"id": contract.member_id_field, "email": contract.email_field, "role": contract.role_field}
    return renamed(data, names)  # type: ignore[return-value]


def read_invite(data: Mapping[str, Any], contract: VizdomContract) -> Invite:
    """Return an invite under our own field names; without ``id`` where the service gives none."""
    names = {
        "id": contract.invite_id_field,
        "email": contract.email_field,
        "role": contract.role_field,
        "status": contract.invite_status_field,
    }
    invite = renamed(data, names)
    if invite_id := text_of_id(invite.pop("id", None)):
        invite["id"] = invite_id
    return invite  # type: ignore[return-value]


def is_there_already(error: InvalidRequestError, contract: VizdomContract) -> bool:
    """Return whether an invite is refused because the address is a member's, or is invited already."""
    texts = [error.service_message, *(text for problems in error.fields.values() for text in problems)]
    named = any(word in text.lower() for word in contract.invited_words for text in texts)
    return error.status == 409 or (error.status in {400, 422} and named)


def _passed(status: object, contract: VizdomContract) -> bool | None:
    if isinstance(status, bool):
        return status
    word = str(status).strip().lower()
    if word in contract.test_passed_words:
        return True
    return False if word in contract.test_failed_words else None


def _is_open(name: str, contract: VizdomContract) -> bool:
    ours = {contract.host_field, contract.port_field, contract.database_field, contract.username_field}
    return str(name).lower() in _OPEN or name in ours


def _without_secrets(value: Any, contract: VizdomContract, *, open_names: Collection[str] = ()) -> Any:
    """Return a reply's value without the values of secret names, except some names at its top."""
    if isinstance(value, Mapping):
        return {
            name: _without_secrets(part, contract)
            if name in open_names or isinstance(part, bool) or not _is_secret_name(name, contract)
            else "***"
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(part, contract) for part in value]
    return _URL_PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value


def _is_secret_name(name: str, contract: VizdomContract) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", str(name).lower())
    return name == contract.password_field or _SECRET_NAME.search(plain) is not None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str) and len(value.strip()) >= LEAST_SECRET:
        # A service may return a key of several lines cut, or in one line.
        yield from {
            value,
            *(line.strip() for line in value.splitlines() if len(line.strip()) >= LEAST_SECRET),
        }
