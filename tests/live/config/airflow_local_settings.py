"""Read by every process of the live Airflow: what takes ten minutes otherwise takes half a minute there."""

from __future__ import annotations

from airflow_provider_visio.api import photo_request_poller

photo_request_poller.WALK_EVERY = 30.0
