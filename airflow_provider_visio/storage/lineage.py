"""
Tell Airflow which files a task has stored, and what they come from.

Airflow's hook lineage collector takes it, and for example the OpenLineage provider reads it when a process of the task
ends. Where nobody reads it, the collector does nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseHook

    from airflow_provider_visio.storage.manifest import StoredFile

log = logging.getLogger(__name__)


def object_uri(scheme: str, conn_id: str, *path: str) -> str:
    """
    Return the URI of an object of a service, for assets and lineage.

    :param scheme: ``visiono`` or ``vizdom``.
    :param conn_id: id of the Airflow connection.
    :param path: such as ``"photo-requests", "req_1"``.
    """
    return f"{scheme}://" + "/".join(quote(part, safe="") for part in (conn_id, *path))


@dataclass(frozen=True)
class Origin:
    """
    The object of a service that files come from.

    :param scheme: ``visiono`` or ``vizdom``.
    :param conn_id: id of the Airflow connection.
    :param kind: ``photo-requests``, ``permanent-links``, ``dashboards`` or ``exports``.
    :param id: the object's id.
    """

    scheme: str
    conn_id: str
    kind: str
    id: str


def collect(
    hook: BaseHook, origin: Origin, files: Sequence[StoredFile], *, jobs: int, shared_folder: bool
) -> None:
    """
    Collect stored files as outputs of the task, and their origin as its input.

    Airflow keeps 100 inputs and 100 outputs of a task by default. Where the task's files may be more, the outputs are
    their folders; where its folders may be more too, the output is the destination, and the input all objects of this
    kind.

    :param hook: the hook that stored them.
    :param origin: what they come from.
    :param files: their entries in the manifest, also of those that an earlier run has stored.
    :param jobs: the number of objects whose files the task stores.
    :param shared_folder: whether the folder may have files of other objects.
    """
    if not files:
        return
    from airflow.providers.common.compat.sdk import conf, get_hook_lineage_collector

    share = conf.getint("lineage", "max_assets_per_collector", fallback=100) // jobs
    source = [origin.kind, origin.id]
    outputs = [file["uri"] for file in files]
    if len(outputs) > share:
        folder = outputs[0].rsplit("/", 1)[0]
        outputs = [folder if share or shared_folder else folder.rsplit("/", 1)[0]]
        source = source if share else [origin.kind]
    try:
        collector = get_hook_lineage_collector()
        collector.add_input_asset(hook, uri=object_uri(origin.scheme, origin.conn_id, *source))
        for uri in outputs:
            collector.add_output_asset(hook, uri=uri)
    except Exception as error:  # noqa: BLE001 - the files are stored; an asset's URI has at most 1,500 characters
        log.warning("The lineage of %s could not be recorded: %s", origin.id, error)
