"""Extra links: buttons in Airflow's UI that open the photo request, the dashboard or the stored files of a task."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

LINK_KEY = "visio_link"

# The gallery's page in Airflow's UI, as the plugin registers it.
GALLERY_ROUTE = "visio_gallery"

# Attribute of a task whose process has stored files.
HAS_STORED = "_visio_has_stored"
# Attribute of a task whose process knows its link; "" where there is none.
_KNOWN = "_visio_link"


def remember_link(context: Any, url: object) -> None:
    """Keep a link for the button, also for the process that resumes the task; ignore anything but a URL."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return
    task = context["task"]
    if url != getattr(task, _KNOWN, None):
        setattr(task, _KNOWN, url)
        context["ti"].xcom_push(key=LINK_KEY, value=url)


@contextlib.contextmanager
def keeping_link(context: Any) -> Iterator[None]:
    """
    Run a task from its start, so that Airflow can ask for its link at any time.

    A task that defers without a link stores an empty one: Airflow logs an error for an XCom that does not exist.
    """
    task = context["task"]
    setattr(task, _KNOWN, "")
    try:
        yield
    except TaskDeferred:
        if task.operator_extra_links and not getattr(task, _KNOWN):
            context["ti"].xcom_push(key=LINK_KEY, value="")
        raise


class _RememberedLink(BaseOperatorLink):
    """A button for the link that the task has kept."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link; empty where the task has none (yet)."""
        known: str | None = getattr(operator, _KNOWN, None)
        if known is not None:
            return known
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_value(ti_key=ti_key, key=LINK_KEY) or ""


class VisionoRequestLink(_RememberedLink):
    """A link to the recipient's page: the ``request_url`` of the photo request."""

    name = "Photo request"


class VizdomDashboardLink(_RememberedLink):
    """A link to the dashboard in Vizdom's app."""

    name = "Vizdom dashboard"


class _GalleryLink(BaseOperatorLink):
    """A button for the gallery, where it is on and the task's output lists stored files."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link within Airflow's UI; empty where the gallery would have nothing to show."""
        from airflow.providers.common.compat.sdk import conf

        shows = getattr(operator, HAS_STORED, False) and operator.do_xcom_push
        if not shows or not conf.getboolean("visio", "gallery", fallback=False):
            return ""
        dag_id, run_id, task_id = (
            quote(part, safe="") for part in (ti_key.dag_id, ti_key.run_id, ti_key.task_id)
        )
        mapped = f"/mapped/{ti_key.map_index}" if ti_key.map_index >= 0 else ""
        return f"dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/plugin/{GALLERY_ROUTE}"


class VisionoPhotosLink(_GalleryLink):
    """A link to the photos that the task stored, in the gallery."""

    name = "Photos"


class VizdomFilesLink(_GalleryLink):
    """A link to the files that the task stored, in the gallery."""

    name = "Files"
