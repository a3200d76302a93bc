"""Datasets of OpenLineage for the assets of both services. The OpenLineage provider finds the converter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:  # noqa: ARG001
    """
    Return the dataset of an asset with a URI such as ``visiono://visiono_default/photo-requests/req_1``.

    :param asset: the asset.
    :param lineage_context: not used.
    :return: the dataset, such as ``photo-requests/req_1`` in the namespace ``visiono://visiono_default``.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{uri.scheme}://{uri.netloc}", name=uri.path.strip("/"))
