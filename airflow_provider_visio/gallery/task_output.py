"""The output of a task instance, or what one that failed has stored. A DAG author can write any XCom."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field, ValidationError

from airflow_provider_visio.gallery.problem import GalleryError
from airflow_provider_visio.storage.manifest import STORED_KEY

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskAddress:
    """A task instance, as the page's address names it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def query(self) -> str:
        """The address as a query string."""
        return urlencode(vars(self))


class OutputFile(BaseModel):
    """A stored file in a task's output; ``gps`` and ``taken_at`` only with the operator's ``photo_details``."""

    path: str
    gps: Any = None
    taken_at: str | None = None

    @property
    def name(self) -> str:
        """Its name in the folder."""
        return self.path.rsplit("/", 1)[-1]


class FailedFile(BaseModel):
    """A file that could not be fetched."""

    key: str = ""
    item: str | None = None
    reason: str = ""


class StoredJob(BaseModel):
    """The short form of a manifest, see :func:`airflow_provider_visio.storage.manifest.summary`."""

    id: str
    manifest: str | None
    files: list[OutputFile]
    failed: list[FailedFile] = Field(default_factory=list)


def stored_jobs(task: TaskAddress) -> list[StoredJob]:
    """
    Return what a task stored, a job for each manifest.

    :raises GalleryError: the task has no output, or it is not that of an operator that stores files.
    """
    output = _output(task)
    if isinstance(output, dict) and "photos" in output:
        output = output["photos"]
    try:
        return [StoredJob.model_validate(one) for one in (output if isinstance(output, list) else [output])]
    except ValidationError:
        raise GalleryError(
            "The output of this task does not list stored files. The gallery shows the files of this provider's "
            "operators that store photos or exports."
        ) from None


def _value(row: Any) -> Any:
    from airflow.sdk.execution_time.xcom import resolve_xcom_backend

    try:
        return resolve_xcom_backend().deserialize_value(row)  # type: ignore[no-untyped-call]
    except Exception as error:
        log.warning("The gallery cannot read an XCom: %s", error, exc_info=True)
        raise GalleryError(
            f"The API server cannot read the output of this task ({type(error).__name__}). Its log says more.",
            502,
        ) from error


def _output(task: TaskAddress) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        # Airflow 3.1 does not encode a "+" in the address of a plugin's page.
        run_ids = dict.fromkeys((task.run_id, task.run_id.replace(" ", "+")))
        for run_id, key in product(run_ids, ("return_value", STORED_KEY)):
            row = session.scalars(
                XComModel.get_many(
                    dag_ids=task.dag_id,
                    run_id=run_id,
                    task_ids=task.task_id,
                    map_indexes=task.map_index,
                    key=key,
                )
            ).first()
            if row is not None:
                return _value(row)
    raise GalleryError(
        "This task has no output. It has stored nothing (yet), it was cleared, or it has do_xcom_push=False."
    )
