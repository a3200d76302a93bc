"""Read by every process of the Airflow that is broken: what takes two minutes otherwise takes less there."""

from __future__ import annotations

from airflow_provider_visio import intent

intent.IN_FLIGHT = 45.0
