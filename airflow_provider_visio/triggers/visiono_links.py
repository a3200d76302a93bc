"""The old module path of the permanent link trigger, which Airflow keeps in its database while a task waits."""

from __future__ import annotations

from airflow_provider_visio.triggers.visiono_permanent_links import VisionoPermanentLinkTrigger

__all__ = ["VisionoPermanentLinkTrigger"]
