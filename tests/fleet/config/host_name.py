"""Gives each component of the fleet a host name of its own."""

from __future__ import annotations

import os


def host_name() -> str:
    """Return the name of the host that this process stands for."""
    return os.environ.get("FLEET_HOST", "control")
