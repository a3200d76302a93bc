"""What can be set: on the command line, and later through the control interface."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Dialect = Literal["both", "reference", "plugin"]

# How each of Visiono's sources shows what the settings leave open, where it shows it.
_DIALECT_DEFAULTS: Mapping[Dialect, Mapping[str, Any]] = {
    "both": {},
    "reference": {
        "photos_in_request": True,
        "list_filters": False,
        "find_by_code": False,
        "items_name": "photo_slots",
    },
    "plugin": {
        "request_id_style": "pr",
        "meta": False,
        "rate_reset_header": False,
        "flat_errors": True,
        "items_name": "items",
        "deleted_requests": "cancelled",
    },
}


_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")


def is_email(text: str) -> bool:
    """Whether a text looks like an e-mail address; what the services accept is assumed."""
    return _EMAIL.fullmatch(text) is not None


class Strict(BaseModel):
    """A body in which unknown names and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON has one kind of number: 24.0 is 24.
WholeNumber = Annotated[int, BeforeValidator(_whole)]


class Person(Strict):
    """How a simulated recipient behaves; times are virtual seconds from the moment they are set."""

    behaviour: Literal["manual", "submit", "partial", "never", "expire"] = "manual"
    open_after: float = Field(default=3.0, ge=0, le=1e9)
    photo_every: float = Field(default=2.0, ge=0, le=1e9)
    photos: int | None = Field(default=None, ge=0, le=50)
    gps: bool = True
    notes: str | None = None


class Settings(Strict):
    """Everything about the two services that differs between plans, or that their references leave open.

    A `dialect` chooses the calls that Visiono has, and sets what else differs; what is set by name goes before it.
    """

    dialect: Dialect = "both"
    plan: Literal["paid", "free"] = "paid"
    visiono_per_minute: int = Field(default=60, ge=0)
    visiono_per_hour: int = Field(default=1000, ge=0)
    vizdom_per_minute: int = Field(default=1000, ge=0)
    rate_headers: bool = True
    rate_reset_header: bool = True
    retry_after_header: bool = False
    # Whose seconds the rate headers speak of: "virtual" is for a caller who lives on the sandbox's clock.
    caller_clock: Literal["real", "virtual"] = "real"
    pagination: Literal["none", "page", "cursor"] = "page"
    page_size: int = Field(default=15, ge=1, le=100)
    list_filters: bool = True
    list_total: bool = True
    list_order: Literal["newest", "oldest"] = "newest"
    photos_in_request: bool = False
    download_urls: bool = True
    download_urls_of_open: Literal["empty", "missing"] = "empty"
    photo_link_seconds: float = Field(default=86400, ge=0, le=1e9)
    export_link_seconds: float = Field(default=3600, ge=0, le=1e9)
    export_seconds: float = Field(default=2.0, ge=0, le=1e9)
    default_expires_in_hours: int = Field(default=72, ge=1, le=8760)
    request_id_style: Literal["req", "pr"] = "req"
    meta: bool = True
    flat_errors: bool = False
    find_by_code: bool = True
    items_name: Literal["either", "items", "photo_slots"] = "either"
    delete_reply: Literal["empty", "body"] = "empty"
    deleted_requests: Literal["gone", "cancelled"] = "gone"
    visiono_scopes: list[str] | None = None
    vizdom_role: Literal["admin", "editor", "viewer"] = "admin"

    @model_validator(mode="after")
    def _follow_the_dialect(self) -> Self:
        habits = _DIALECT_DEFAULTS[self.dialect].items()
        # Not as if they had been given: another dialect must be able to set them differently.
        self.__dict__.update({name: value for name, value in habits if name not in self.model_fields_set})
        return self


@dataclass(frozen=True)
class Options:
    """How the server was started; a reset goes back to this."""

    host: str = "127.0.0.1"
    port: int = 8400
    storage_port: int = 0
    visiono_key: str = "vsk_live_sandbox"
    vizdom_key: str = "vzd_sandbox"
    speed: float = 1.0
    person: Person = field(default_factory=Person)
    settings: Settings = field(default_factory=Settings)
