"""The fixtures of the receiver, which the plugin mounts."""

from __future__ import annotations

from webhooks.conftest import receiver, stored

__all__ = ["receiver", "stored"]
