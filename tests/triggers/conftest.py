"""Triggers against the sandbox."""

from tasks.conftest import *  # noqa: F403  the fixtures that run a task as Airflow does
