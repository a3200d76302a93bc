"""Files in an object store."""

from tasks.conftest import *  # noqa: F403  the fixtures that run a task as Airflow does
