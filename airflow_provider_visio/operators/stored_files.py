"""The parameters of operators that store files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import check_if_known, require, require_resolved
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.storage.destination import check_destination, check_folder, check_reachable

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.storage.transfer import OnFileError


class StoresFiles:
    """An operator that stores files below a destination."""

    def _set_storage(
        self,
        destination: ObjectStoragePath | str | None,
        folder: str | None,
        on_file_error: OnFileError,
        parallel_downloads: int | None,
        *,
        photo_details: bool = True,
        required: bool = True,
    ) -> None:
        """
        Check and keep the parameters.

        :param required: whether the operator needs a destination.
        """
        self.destination = destination
        self.folder = folder
        self.on_file_error = on_file_error
        self.parallel_downloads = parallel_downloads
        self.photo_details = photo_details
        self._given = {"destination": required or destination is not None, "folder": folder is not None}
        if required:
            require(destination, "destination")
        check_if_known(check_destination, destination=destination)
        check_if_known(check_folder, folder=folder)
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

    def _summary(self, manifest: Manifest) -> dict[str, Any]:
        """Return a manifest's short form, for the output."""
        from airflow_provider_visio.storage.manifest import summary

        return summary(manifest, photo_details=self.photo_details)
