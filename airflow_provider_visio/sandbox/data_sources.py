"""Data sources of dashboards."""

from dataclasses import dataclass
from typing import Any, Literal

from . import ids
from .context import Context

DATABASES = ("postgresql", "mysql", "mariadb", "sqlserver")
UNREACHABLE = "unreachable.example"


@dataclass
class DataSource:
    """One data source; no reply contains its settings."""

    id: str
    name: str
    type: str
    settings: dict[str, Any]
    created_at: float
    status: Literal["untested", "connected", "error"] = "untested"
    tested_at: float | None = None


class DataSources:
    """All data sources of the workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.all: dict[str, DataSource] = {}

    def add(self, name: str, source_type: str, settings: dict[str, Any], moment: float) -> DataSource:
        """Add a data source; names need not be unique."""
        source = DataSource(f"ds_{ids.token(10)}", name, source_type, settings, moment)
        self.all[source.id] = source
        text = f"{source.id}: {name!r} was created"
        self._context.log.record(moment, "data_source_created", source.id, text)
        return source

    def test(self, source: DataSource, moment: float) -> str:
        """Test the connection, and return the result as text."""
        host = source.settings.get("host")
        source.status = "error" if host == UNREACHABLE else "connected"
        source.tested_at = moment
        if source.status == "error":
            return f"Could not connect to {host}: the connection timed out."
        return "Connected."

    def remove(self, source: DataSource, moment: float) -> None:
        """Delete one."""
        del self.all[source.id]
        self._context.log.record(moment, "data_source_deleted", source.id, f"{source.id} was deleted")
