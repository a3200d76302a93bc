"""
The fields of both connection types, each defined once. Imports nothing of Airflow.

They make the form of Airflow 3.2 and later (provider metadata) and that of 3.1 (hook classmethods), and read the
extras: a form stores numbers, a URI stores text, and a person writes either.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["number", "integer", "boolean", "text", "secret", "json"]

# What Airflow shows in place of a secret.
MASK = "***"

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True)
class Field:
    """
    One extra of a connection.

    :param description: what it does, with its unit.
    :param default: its value where the extras leave it out.
    :param choices: the allowed words; empty for any text.
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

        :raises ValueError: the value is not allowed; the text says what is.
        """
        value = extra.get(self.name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return self.default
        if self.kind == "secret" and str(value).strip() == MASK:
            raise ValueError(
                f"{self.name} is {MASK}, which Airflow shows in place of a secret; put the secret itself there"
            )
        try:
            return self._parsed(value)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError(f"{self.name} must be {self._allowed()}") from None

    def _parsed(self, value: Any) -> Any:
        text = str(value).strip()
        if self.kind == "json":
            return json.loads(value) if isinstance(value, str) else value
        if self.kind == "boolean":
            return _BOOLEANS[text.lower()]
        if self.kind in {"text", "secret"}:
            return self.choices[self.choices.index(text.lower())] if self.choices else text
        number = float(value)
        whole = int(number)  # fails for NaN and infinity
        least = -math.inf if self.minimum is None else self.minimum
        most = math.inf if self.maximum is None else self.maximum
        good = not isinstance(value, bool) and (self.kind == "number" or whole == number)
        if not good or not least <= number <= most:
            raise ValueError
        return whole if self.kind == "integer" else number

    def _allowed(self) -> str:
        if self.kind in {"number", "integer"}:
            least = "" if self.minimum is None else f" of at least {self.minimum:g}"
            most = "" if self.maximum is None else f" and at most {self.maximum:g}"
            return f"{'a whole' if self.kind == 'integer' else 'a'} number{least}{most}"
        return {"boolean": "true or false", "json": "JSON"}.get(self.kind) or " or ".join(self.choices)


@dataclass(frozen=True)
class Form:
    """
    One connection type.

    :param base_url: the documented base URL, the placeholder of Host.
    :param key_hint: the placeholder of the API key.
    :param fields: its extras.
    """

    conn_type: str
    hook_class: str
    hook_name: str
    base_url: str
    key_hint: str
    fields: tuple[Field, ...]

    def behaviour(self) -> dict[str, Any]:
        """Return hidden fields, labels and placeholders, as hooks name them (Airflow 3.1)."""
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
        return {
            "connection-type": self.conn_type,
            "hook-class-name": self.hook_class,
            "hook-name": self.hook_name,
            "ui-field-behaviour": {name.replace("_", "-"): of for name, of in self.behaviour().items()},
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
    # The form has no widget for an object of any shape, so JSON is text.
    kind = field.kind if field.kind in {"number", "integer", "boolean"} else "string"
    schema = {
        "format": {"secret": "password", "json": "multiline"}.get(field.kind),
        "default": field.default,
        "enum": [*field.choices, None] if field.choices else None,
        "minimum": field.minimum,
        "maximum": field.maximum,
    }
    known = {name: value for name, value in schema.items() if value is not None}
    return {
        "label": field.label,
        "description": field.description,
        "schema": {"type": [kind, "null"], **known},
    }


# A socket refuses a timeout of centuries.
_DAY = 86_400


def _calls(per: str, default: int, most: int) -> Field:
    text = f"Calls that the service allows per {per}."
    return Field(f"calls_per_{per}", f"Calls per {per}", text, "integer", default, 1, most)


_TRANSPORT = (
    Field(
        "timeout", "Read timeout (s)", "Seconds to wait for each part of a reply.", "number", 30, 0.1, _DAY
    ),
    Field(
        "connect_timeout", "Connect timeout (s)", "Seconds to wait for a connection.", "number", 10, 0.1, _DAY
    ),
    Field("verify", "Verify TLS", "Whether to check the service's certificate.", "boolean", True),  # noqa: FBT003
    Field(
        "ca_bundle",
        "CA bundle",
        "Path of a file or folder with certificates of private authorities, trusted beside the public ones.",
    ),
    Field(
        "ca_bundle_only",
        "CA bundle only",
        "Whether the CA bundle replaces the public authorities, for the API and for files.",
        "boolean",
        False,  # noqa: FBT003
    ),
    Field(
        "proxy",
        "Proxy",
        "URL of a proxy for the API and for files, such as http://user:password@proxy.example.com:3128. "
        "It goes before the environment's proxies and its NO_PROXY.",
        "secret",
    ),
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
        "Seconds that one call may wait for the rate limit, or while the service answers 429, before it fails.",
        "number",
        120,
        0,
    ),
    Field(
        "polling_reserve",
        "Reserve (%)",
        "Percentage of the calls that polls for waiting tasks leave to all other calls.",
        "number",
        25,
        0,
        90,
    ),
    Field(
        "parallel_downloads",
        "Parallel downloads",
        "How many files one task fetches at once.",
        "integer",
        4,
        1,
        32,
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
        _calls("minute", 60, 10_000),
        _calls("hour", 1000, 20_000),
        Field(
            "dialect",
            "Dialect",
            "Which of the vendor's two descriptions the calls follow: its API reference, or its plugin (/smart-links, "
            "PUT, items for photo_slots; https://www.visiono.io/api/v1 without a Base URL). Replies of both are read.",
            default="reference",
            choices=("reference", "plugin"),
        ),
        Field("webhook_secret", "Webhook secret", "Secret that signs the service's webhooks.", "secret"),
        Field(
            "webhook_signature",
            "Webhook signature",
            "The only signature to accept webhooks with, by its name in docs/webhooks.md; empty: whichever comes.",
            choices=("visiono", "webhook-body", "webhook-timestamp"),
        ),
        Field(
            "workflow_secret",
            "Workflow secret",
            "Secret that signs the links of the workflow mode; the dashboard shows it on a permanent link's page.",
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
        _calls("minute", 1000, 10_000),
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
    Return the values of a form's fields in a connection's extras, by name.

    :raises ValueError: a value is not allowed; the text names the field and what is allowed.
    """
    return {field.name: field.read(extra) for field in form.fields}
