"""
The fields of both connections, each written once. Imports nothing.

From here come the form of Airflow 3.2 and later (provider metadata), that of 3.1 (hook classmethods), and the reading
of the extras, which a form gives as numbers, a URI as text, and a person by hand as either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["number", "integer", "boolean", "text", "secret", "json"]


@dataclass(frozen=True)
class Field:
    """
    One extra of a connection.

    :param name: its name in the connection's extras.
    :param label: its label in the form.
    :param description: what it does, with its unit.
    :param kind: what it holds.
    :param default: what applies where it is left out.
    :param minimum: the least it may be.
    :param maximum: the most it may be.
    :param choices: the words it may be; any where there are none.
    """

    name: str
    label: str
    description: str
    kind: Kind = "text"
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, extra: Mapping[str, Any]) -> Any:
        """
        Return the field's value in a connection's extras.

        :raises ValueError: says what it must be.
        """
        value = extra.get(self.name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return self.default
        if self.kind in {"number", "integer"}:
            return self._number(value)
        if self.kind == "boolean":
            return self._boolean(value)
        if self.kind == "json":
            return self._json(value)
        text = str(value).strip()
        if self.choices and text.lower() not in self.choices:
            raise ValueError(f"{self.name} must be {' or '.join(self.choices)}")
        return text.lower() if self.choices else text

    def _number(self, value: Any) -> float | int:
        try:
            number = float(value)
            good = not isinstance(value, bool) and self._fits(number)
            whole = int(number)
        except (TypeError, ValueError, OverflowError):
            good, number, whole = False, 0.0, 0
        if not good or (self.kind == "integer" and whole != number):
            least = "" if self.minimum is None else f" of at least {self.minimum:g}"
            most = "" if self.maximum is None else f" and at most {self.maximum:g}"
            raise ValueError(
                f"{self.name} must be {'a whole' if self.kind == 'integer' else 'a'} number{least}{most}"
            )
        return whole if self.kind == "integer" else number

    def _fits(self, number: float) -> bool:
        return (self.minimum is None or number >= self.minimum) and (
            self.maximum is None or number <= self.maximum
        )

    def _boolean(self, value: Any) -> bool:
        word = str(value).strip().lower()
        if word in {"true", "1", "yes", "on"}:
            return True
        if word in {"false", "0", "no", "off"}:
            return False
        raise ValueError(f"{self.name} must be true or false")

    def _json(self, value: Any) -> Any:
        import json

        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError(f"{self.name} must be JSON") from None


@dataclass(frozen=True)
class Form:
    """
    One connection type.

    :param conn_type: its type.
    :param hook_class: the hook, by dotted name.
    :param hook_name: as people call it.
    :param base_url: the documented base URL, shown as the placeholder of Host.
    :param key_hint: what a key looks like.
    :param fields: its extras.
    """

    conn_type: str
    hook_class: str
    hook_name: str
    base_url: str
    key_hint: str
    fields: tuple[Field, ...]

    def behaviour(self) -> dict[str, Any]:
        """Return hidden fields, labels and placeholders, with the names that hooks use (Airflow 3.1)."""
        return {
            "hidden_fields": ["schema", "login", "port", "extra"],
            "relabeling": {"host": "Base URL", "password": "API key"},
            "placeholders": {
                "host": self.base_url,
                "password": self.key_hint,
                **{f.name: str(f.default) for f in self.fields if f.default is not None},
            },
        }

    def metadata(self) -> dict[str, Any]:
        """Return the entry under ``connection-types`` of the provider's metadata (Airflow 3.2 and later)."""
        behaviour = self.behaviour()
        return {
            "connection-type": self.conn_type,
            "hook-class-name": self.hook_class,
            "hook-name": self.hook_name,
            "ui-field-behaviour": {
                "hidden-fields": behaviour["hidden_fields"],
                "relabeling": behaviour["relabeling"],
                "placeholders": behaviour["placeholders"],
            },
            "conn-fields": {f.name: _metadata_of(f) for f in self.fields},
        }

    def widgets(self) -> dict[str, Any]:
        """Return the form's extra fields as widgets (Airflow 3.1; needs wtforms, which comes with that)."""
        from wtforms import BooleanField, PasswordField, StringField
        from wtforms.validators import Optional

        kinds = {"boolean": BooleanField, "secret": PasswordField}
        return {
            f.name: kinds.get(f.kind, StringField)(
                f.label, validators=[Optional()], description=f.description, default=f.default
            )
            for f in self.fields
        }


def _metadata_of(field: Field) -> dict[str, Any]:
    # JSON is typed as text: the form has no widget for an object of any shape.
    types = {"number": "number", "integer": "integer", "boolean": "boolean"}
    schema: dict[str, Any] = {"type": [types.get(field.kind, "string"), "null"]}
    if field.kind == "secret":
        schema["format"] = "password"
    if field.kind == "json":
        schema["format"] = "multiline"
    if field.default is not None:
        schema["default"] = field.default
    if field.choices:
        schema["enum"] = [*field.choices, None]
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    if field.maximum is not None:
        schema["maximum"] = field.maximum
    return {"label": field.label, "description": field.description, "schema": schema}


# A socket cannot be told to wait for centuries, and nobody means more than this.
_DAY = 86_400

_TRANSPORT = (
    Field(
        "timeout", "Read timeout (s)", "Seconds to wait for each part of a reply.", "number", 30, 0.1, _DAY
    ),
    Field(
        "connect_timeout", "Connect timeout (s)", "Seconds to wait for a connection.", "number", 10, 0.1, _DAY
    ),
    Field("verify", "Verify TLS", "Whether to check the service's certificate.", "boolean", default=True),
    Field("ca_bundle", "CA bundle", "Path of a file with the certificates to trust, for a private proxy."),
    Field(
        "max_attempts",
        "Attempts",
        "How often a call that may be repeated is sent at most. A POST whose reply is lost is never repeated.",
        "integer",
        5,
        1,
    ),
    Field(
        "rate_limit_wait",
        "Longest wait for the rate limit (s)",
        "Seconds that one call may wait for its turn, or while the service refuses calls (429), before it fails.",
        "number",
        120,
        0,
    ),
    Field(
        "polling_reserve",
        "Reserve (%)",
        "Part of the calls, in percent, that polls for waiting tasks leave to everything else.",
        "number",
        25,
        0,
        90,
    ),
)

VISIONO_FORM = Form(
    conn_type="visiono",
    hook_class="airflow_provider_visio.hooks.visiono.VisionoHook",
    hook_name="Visiono",
    base_url="https://api.visio.now/v1",
    key_hint="vsk_live_...",
    fields=(
        *_TRANSPORT,
        Field(
            "calls_per_minute",
            "Calls a minute",
            "Calls that the service allows a minute.",
            "integer",
            60,
            1,
            10_000,
        ),
        Field(
            "calls_per_hour",
            "Calls an hour",
            "Calls that the service allows an hour.",
            "integer",
            1000,
            1,
            20_000,
        ),
        Field(
            "dialect",
            "Dialect",
            "Which of the vendor's two descriptions is written: its API reference, or its plugin (/smart-links, PUT, "
            "items for photo_slots, and https://www.visiono.io/api/v1 where no Base URL is given). Both are read.",
            default="reference",
            choices=("reference", "plugin"),
        ),
        Field("webhook_secret", "Webhook secret", "Secret that signs the service's webhooks.", "secret"),
        Field(
            "workflow_secret",
            "Workflow secret",
            "Secret that signs the links of the workflow mode; a permanent link's page in the dashboard has it.",
            "secret",
        ),
    ),
)

VIZDOM_FORM = Form(
    conn_type="vizdom",
    hook_class="airflow_provider_visio.hooks.vizdom.VizdomHook",
    hook_name="Vizdom",
    base_url="https://api.vizdom.ai/v1",
    key_hint="API key",
    fields=(
        *_TRANSPORT,
        Field(
            "calls_per_minute",
            "Calls a minute",
            "Calls that the service allows a minute.",
            "integer",
            1000,
            1,
            10_000,
        ),
        Field("workspace", "Workspace", "The workspace's slug, for the link to a dashboard in Airflow's UI."),
        Field(
            "dashboard_url",
            "Dashboard address",
            "Pattern of a dashboard's page, with {workspace} and {dashboard_id} (assumed).",
            default="https://app.vizdom.ai/{workspace}/dashboards/{dashboard_id}",
        ),
        Field(
            "contract",
            "Contract (JSON)",
            "Replaces parts of the assumed calls, by the names of api/vizdom_contract.py.",
            "json",
        ),
    ),
)


def read_extras(form: Form, extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the values of a form's fields in a connection's extras.

    :raises ValueError: says which field is wrong, and what it must be.
    """
    return {field.name: field.read(extra) for field in form.fields}
