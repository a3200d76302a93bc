"""Read by every process of this Airflow: what takes ten minutes otherwise takes some seconds there."""

from __future__ import annotations

from airflow_provider_visio.api import photo_request_poller

photo_request_poller.WALK_EVERY = 5.0
