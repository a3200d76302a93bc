"""What every part of the sandbox stands on: clock, agenda, journal, settings, files and addresses."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock, Scheduler, iso
from .event_log import EventLog
from .options import Settings
from .signed_urls import Signer
from .stored_files import File

Listener = Callable[[str, float, Callable[[], dict[str, Any]]], None]


@dataclass
class Addresses:
    """Where the two listeners are reached."""

    main: str = ""
    storage: str = ""


@dataclass
class Context:
    """Shared state; replaced as a whole by a reset, except for the addresses."""

    addresses: Addresses
    settings: Settings
    clock: Clock
    scheduler: Scheduler = field(default_factory=Scheduler)
    event_log: EventLog = field(default_factory=EventLog)
    signer: Signer = field(default_factory=Signer)
    files: dict[str, File] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)

    @property
    def plugin_style(self) -> bool:
        """Whether ids and timestamps follow the vendor's plugin instead of its documentation."""
        return self.settings.request_id_style == "pr"

    def format_time(self, moment: float) -> str:
        """Return a Visiono timestamp: `Z` in the documentation, `+00:00` in the plugin."""
        return iso(moment, offset=self.plugin_style)

    def in_caller_time(self, moment: float) -> float:
        """When a virtual moment comes on the clock that the caller goes by."""
        return moment if self.settings.caller_clock == "virtual" else self.clock.in_caller_time(moment)

    def link(self, path: str, seconds: float) -> str:
        """Return a signed storage link valid for so many seconds from now."""
        return f"{self.addresses.storage}{path}?{self.signer.query(path, self.clock.now() + seconds)}"

    def notify(self, event: str, moment: float, data: Callable[[], dict[str, Any]]) -> None:
        """Tell the webhooks of an event; its data is worked out only when one of them wants it."""
        for listener in self.listeners:
            listener(event, moment, data)
