"""Buttons in Airflow's UI that lead to what a task is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

LINK_KEY = "visio_link"


def remember_link(context: Any, url: object) -> None:
    """Keep a link for the button; done before a task defers, so that it works while the task waits."""
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        context["ti"].xcom_push(key=LINK_KEY, value=url)


class _RememberedLink(BaseOperatorLink):
    """A button for the link that the task has kept."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the link; empty where the task has none (yet)."""
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_value(ti_key=ti_key, key=LINK_KEY) or ""


class VisionoRequestLink(_RememberedLink):
    """To the page that the recipient sees: the ``request_url`` that the service gave."""

    name = "Photo request"


class VizdomDashboardLink(_RememberedLink):
    """To the dashboard in Vizdom's app."""

    name = "Vizdom dashboard"
