"""The parameters of operators that store files, and the asset that they update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_visio.api.plain_values import text_of
from airflow_provider_visio.arguments import check_if_known, require, require_resolved
from airflow_provider_visio.exceptions import InvalidRequestError, TransferError, VisioProviderError
from airflow_provider_visio.extra_links import HAS_STORED
from airflow_provider_visio.operators.base import VisioOperator
from airflow_provider_visio.storage.destination import check_destination, check_folder, check_reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visio.operators.base import Done, Step
    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.storage.transfer import OnFileError


class StoresFiles(VisioOperator):
    """
    An operator that stores files below a destination.

    :param destination: an object store's URL or an absolute path.
    :param folder: the folder below the destination; None for the id of the request, link or export, "" for none.
    :param on_file_error: ``fail`` or ``proceed``, when a file cannot be fetched.
    :param parallel_downloads: how many files to fetch at once; None for the connection's setting.
    :param photo_details: whether the output's files have ``gps`` and ``taken_at``.
    :param asset: the asset that the stored files update.
    """

    _needs_destination = True

    def __init__(
        self,
        *,
        destination: ObjectStoragePath | str | None = None,
        folder: str | None = None,
        on_file_error: OnFileError = "fail",
        parallel_downloads: int | None = None,
        photo_details: bool = True,
        asset: Asset | None = None,
        **kwargs: Any,
    ) -> None:
        # Airflow registers the outlets that its own constructor gets.
        super().__init__(**(kwargs if asset is None else {**kwargs, "outlets": _outlets(kwargs, asset)}))
        self.asset = asset
        # What the event of the asset says of each stored manifest.
        self._manifests: list[dict[str, Any]] = []
        # The short form of each manifest with files, by its path.
        self._stored_jobs: dict[str, dict[str, Any]] = {}
        self.destination = destination
        self.folder = folder
        self.on_file_error = on_file_error
        self.parallel_downloads = parallel_downloads
        self.photo_details = photo_details
        self._given = {
            "destination": self._needs_destination or destination is not None,
            "folder": folder is not None,
        }
        if self._needs_destination:
            require(destination, "destination")
        if asset is not None and destination is None:
            raise InvalidRequestError.of("asset", "only stored files update it; give a destination, too")
        check_if_known(check_destination, destination=destination)
        check_if_known(check_folder, folder=text_of(folder))
        if on_file_error not in {"fail", "proceed"}:
            raise InvalidRequestError.of("on_file_error", f"give 'fail' or 'proceed', not {on_file_error!r}")
        whole = isinstance(parallel_downloads, int) and not isinstance(parallel_downloads, bool)
        if parallel_downloads is not None and (not whole or parallel_downloads < 1):
            raise InvalidRequestError.of(
                "parallel_downloads", f"give a whole number from 1, not {parallel_downloads!r}"
            )

    def _check_storage(self) -> None:
        """
        Refuse a destination or a folder that files cannot be stored in, before the task sends anything.

        :raises InvalidRequestError: one is not resolved, or cannot be one.
        :raises TransferError: this worker cannot write there.
        """
        for name, given in self._given.items():
            require_resolved(getattr(self, name), name, given=given)
        self.folder = text_of(self.folder)
        if self.destination is not None:
            check_folder(self.folder)
            check_reachable(self.destination)

    @property
    def _storage(self) -> dict[str, Any]:
        """The parameters of a hook's download method."""
        return {
            "destination": self.destination,
            "folder": self.folder,
            "on_file_error": self.on_file_error,
            "parallel_downloads": self.parallel_downloads,
        }

    def _each(self, ids: Sequence[str], what: str, work: Callable[[str], Done]) -> list[Done]:
        def store(one: str) -> Done:
            try:
                return work(one)
            except TransferError as error:
                self._note(error.manifest)
                raise

        self.hook.lineage_jobs = len(ids)
        return super()._each(ids, what, store)

    def _summary(self, context: Context, manifest: Manifest) -> dict[str, Any]:
        """Return a manifest's short form for the output, and add it to the event of the asset."""
        if self.asset is not None:
            self._update_asset(context, self.asset, manifest)
        return self._note(manifest)

    def _note(self, manifest: Any) -> dict[str, Any]:
        from airflow_provider_visio.storage.manifest import summary

        if not manifest:
            return {}
        short = summary(manifest, photo_details=self.photo_details)
        if short["files"]:
            self._stored_jobs[manifest["path"]] = short
        return short

    def _paced(self, step: Step, context: Context, *args: Any, **kwargs: Any) -> Any:
        try:
            output = super()._paced(step, context, *args, **kwargs)
        except VisioProviderError as error:
            self._note(getattr(error, "manifest", None))
            if self._stored_jobs:
                from airflow_provider_visio.storage.manifest import STORED_KEY

                # A task that fails has no output.
                context["ti"].xcom_push(key=STORED_KEY, value=list(self._stored_jobs.values()))
                setattr(self, HAS_STORED, True)
            raise
        # Not while the task defers: nothing lists the files yet.
        setattr(self, HAS_STORED, bool(self._stored_jobs))
        return output

    def _update_asset(self, context: Context, asset: Asset, manifest: Manifest) -> None:
        declared = self.dag.get_task(self.task_id).outlets if self.has_dag() else [asset]  # type: ignore[no-untyped-call]
        if not self._manifests and asset not in declared:
            # Airflow reads the outlets of a mapped task from the DAG file.
            self.log.warning(
                "Airflow may not record that this task updates the asset %r, because the task is mapped. Give "
                "`.partial(outlets=[...])` the asset as well.",
                asset.name,
            )
        self._manifests.append(
            {
                "id": manifest["id"],
                "path": manifest["path"],
                "uri": manifest["uri"],
                "files": len(manifest["files"]),
                "failed": len(manifest["failed"]),
            }
        )
        extra: Any = {"ids": [one["id"] for one in self._manifests], "manifests": self._manifests}
        context["outlet_events"][asset].extra = extra


def _outlets(kwargs: dict[str, Any], asset: Asset) -> list[Any]:
    """Return the outlets of a task with its asset."""
    if not isinstance(asset, Asset):
        raise InvalidRequestError.of(
            "asset", f"give an Asset, such as Asset('claims'), not {type(asset).__name__}"
        )
    given = kwargs.get("outlets") or []
    others = list(given) if isinstance(given, list | tuple) else [given]
    return [*others, *([] if asset in others else [asset])]
