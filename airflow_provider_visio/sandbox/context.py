"""What all parts of the sandbox share: clock, scheduler, event log, settings, files and addresses."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock, Scheduler, iso
from .event_log import EventLog
from .options import Settings
from .stored_files import File, Signer

Notify = Callable[[str, float, Callable[[], dict[str, Any]]], None]


@dataclass
class Addresses:
    """Base URLs of the two listeners."""

    main: str = ""
    storage: str = ""


@dataclass
class Context:
    """Shared state; a reset replaces all of it except the addresses."""

    addresses: Addresses
    settings: Settings
    clock: Clock
    scheduler: Scheduler = field(default_factory=Scheduler)
    log: EventLog = field(default_factory=EventLog)
    signer: Signer = field(default_factory=Signer)
    files: dict[str, File] = field(default_factory=dict)
    # Sends an event to the webhooks; the data are made only where one subscribes to it.
    notify: Notify = lambda *_: None

    @property
    def plugin_style(self) -> bool:
        """Whether ids and timestamps follow the vendor's plugin instead of its documentation."""
        return self.settings.request_id_style == "pr"

    def format_time(self, moment: float) -> str:
        """Return a Visiono timestamp: `Z` in the documentation, `+00:00` in the plugin."""
        return iso(moment, offset=self.plugin_style)

    def in_caller_time(self, moment: float) -> float:
        """Convert a virtual time to the clock that the caller uses: it waits in real seconds, mostly."""
        if self.settings.caller_clock == "virtual":
            return moment
        return time.time() + (moment - self.clock.now()) / (self.clock.speed or 1.0)

    def link(self, path: str, seconds: float) -> str:
        """Return a signed URL of a stored file, valid for the given seconds."""
        return f"{self.addresses.storage}{path}?{self.signer.query(path, self.clock.now() + seconds)}"

    def by_dialect(self, of_reference: dict[str, Any], of_plugin: dict[str, Any]) -> dict[str, Any]:
        """Return what the dialect's source shows, or both together."""
        dialect = self.settings.dialect
        return {
            **(of_reference if dialect != "plugin" else {}),
            **(of_plugin if dialect != "reference" else {}),
        }
