"""Functions for Visiono's signed links."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003  Airflow may resolve the annotations of a template function

from airflow_provider_visio.api.signed_links import (
    HOUR,
    RETURN_NAMES,
    SKEW,
    WorkflowReturn,
    build_url,
    signature_in,
    verify_return,
)

__all__ = [
    "HOUR",
    "RETURN_NAMES",
    "SKEW",
    "WorkflowReturn",
    "build_url",
    "signature_in",
    "verify_return",
    "workflow_url",
]


def workflow_url(
    link_url: str,
    unique_value: str | int,
    source: str | int,
    reference: str | int,
    *,
    visiono_conn_id: str = "visiono_default",
    valid_for: float | timedelta | None = None,
) -> str:
    """
    Return a permanent link's URL, signed for one person, for a template of a mail or message.

    Give it to the DAG, ``DAG(..., user_defined_macros={"workflow_url": workflow_url})``, and use it in a templated
    field: ``{{ workflow_url(params.link, params.plate, dag.dag_id, run_id) }}``. The task that renders the field signs
    the URL. The signature is masked in logs and in the rendered field that Airflow keeps.

    :param link_url: the link's own ``request_url``; its query is kept.
    :param unique_value: the value of the link's unique field, such as a licence plate.
    :param source: where the person comes from, such as the DAG's id.
    :param reference: your own id of the case, such as the run's id; it comes back.
    :param visiono_conn_id: id of the Airflow connection, which has the ``workflow_secret``.
    :param valid_for: seconds or a timedelta for which the link opens, an hour at most; None for the hour.
    :raises InvalidRequestError: as :meth:`~airflow_provider_visio.hooks.visiono.VisionoHook.build_workflow_url` does.
    """
    from airflow_provider_visio.hooks.visiono import VisionoHook

    return VisionoHook(visiono_conn_id).build_workflow_url(
        link_url, unique_value=unique_value, source=source, reference=reference, valid_for=valid_for
    )
