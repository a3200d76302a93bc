"""What can be set: on the command line, and later through the control interface."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Dialect = Literal["both", "reference", "plugin"]
Pictures = Literal["plain", "phone", "samsung", "odd"]
# How an export ends: with a whole file, never, with something that is not its file, or with odd or several files.
ExportOutcome = Literal[
    "file", "stuck", "page", "error", "nothing", "cut", "gone", "zip", "no_rows", "several"
]

# How each of Visiono's sources shows what the settings leave open.
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
    """Whether a text looks like an e-mail address; which ones the services accept is assumed."""
    return _EMAIL.fullmatch(text) is not None


class Strict(BaseModel):
    """A body in which unknown names and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ControlBody(Strict):
    """A body for the sandbox itself: an error about an unknown field lists the allowed ones."""

    @model_validator(mode="before")
    @classmethod
    def _name_the_allowed_fields(cls, data: object) -> object:
        unknown = [name for name in data if name not in cls.model_fields] if isinstance(data, dict) else []
        if unknown:
            raise PydanticCustomError(
                "unknown_field",
                "unknown field {unknown}. Allowed: {allowed}.",
                {"unknown": ", ".join(map(repr, unknown)), "allowed": ", ".join(cls.model_fields)},
            )
        return data


def explain(errors: Sequence[Any]) -> str:
    """Return pydantic's errors as text: `field: problem; field: problem`."""
    found = []
    for error in errors:
        where = ".".join(str(part) for part in error["loc"] if part != "body")
        found.append(f"{where}: {error['msg']}" if where else error["msg"])
    return "; ".join(found)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON has one kind of number: 24.0 is 24.
WholeNumber = Annotated[int, BeforeValidator(_whole)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]


class Person(ControlBody):
    """How a simulated recipient behaves. Times are virtual seconds."""

    behaviour: Literal["manual", "submit", "partial", "never", "expire"] = Field(
        default="manual",
        description="manual: waits for you; submit: sends all photos and submits; partial: sends one photo fewer and "
        "does not submit; never: does not open the link; expire: the request expires after open_after",
    )
    open_after: Seconds = Field(default=3.0, description="seconds from the request to the first visit")
    photo_every: Seconds = Field(default=2.0, description="seconds before each photo")
    photos: Annotated[int, Field(ge=0, le=50)] | None = Field(
        default=None, description="number of photos; null: one for each item, or three without items"
    )
    pictures: Pictures = Field(
        default="plain",
        description="kinds of pictures, which come in turn; plain: JPEG; phone: JPEG, HEIC, motion photo, gain map; "
        "samsung: stray bytes, no end marker, a line feed behind a HEIC; odd: wrong or rare types, and a cut JPEG",
    )
    gps: bool = Field(default=True, description="photos have a GPS position; with require_gps they always do")
    notes: str | None = Field(default=None, description="text sent where the request allows submitter notes")


class Settings(ControlBody):
    """What differs between the plans of both services, or what their references leave open.

    A `dialect` chooses the calls that Visiono has, and the values of some settings. A setting that is set by name
    overrides the dialect.
    """

    dialect: Dialect = "both"
    plan: Literal["paid", "free"] = "paid"
    visiono_per_minute: int = Field(default=60, ge=0)
    visiono_per_hour: int = Field(default=1000, ge=0)
    vizdom_per_minute: int = Field(default=1000, ge=0)
    rate_headers: bool = True
    rate_reset_header: bool = True
    retry_after_header: bool = False
    # "virtual" is for a caller whose clock is the sandbox's.
    caller_clock: Literal["real", "virtual"] = "real"
    pagination: Literal["none", "page", "cursor"] = "page"
    page_size: int = Field(default=15, ge=1, le=100)
    list_filters: bool = True
    list_total: bool = True
    list_order: Literal["newest", "oldest"] = "newest"
    photos_in_request: bool = False
    download_urls: bool = True
    download_urls_of_open: Literal["empty", "missing"] = "empty"
    photo_link_seconds: Seconds = 86400
    export_link_seconds: Seconds = 3600
    export_seconds: Seconds = 2.0
    export_outcome: ExportOutcome = "file"
    default_expires_in_hours: int = Field(default=72, ge=1, le=8760)
    request_id_style: Literal["req", "pr"] = "req"
    meta: bool = True
    flat_errors: bool = False
    find_by_code: bool = True
    items_name: Literal["either", "items", "photo_slots"] = "either"
    delete_reply: Literal["empty", "body"] = "empty"
    deleted_requests: Literal["gone", "cancelled"] = "gone"
    webhook_gateway: Annotated[str, Field(pattern="^https?://[!-~]+$")] | None = None
    # Waits after failed attempts. The plugin names 1, 5 and 30 minutes, and three attempts in all.
    webhook_retry_seconds: list[Seconds] = Field(default=[60, 300])
    webhook_signs: Literal["body", "timestamp"] = "body"
    visiono_scopes: list[str] | None = None
    vizdom_role: Literal["admin", "editor", "viewer"] = "admin"

    @model_validator(mode="after")
    def _apply_the_dialect(self) -> Self:
        defaults = _DIALECT_DEFAULTS[self.dialect].items()
        # Without marking the fields as set: another dialect must be able to set them differently.
        self.__dict__.update({name: value for name, value in defaults if name not in self.model_fields_set})
        return self


@dataclass(frozen=True)
class Options:
    """How the server was started; a reset returns to this."""

    host: str = "127.0.0.1"
    port: int = 8400
    storage_port: int = 0
    visiono_key: str = "vsk_live_sandbox"
    vizdom_key: str = "vzd_sandbox"
    speed: float = 1.0
    person: Person = field(default_factory=Person)
    settings: Settings = field(default_factory=Settings)
