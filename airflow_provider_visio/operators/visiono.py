"""Operators for Visiono: ask for photos, fetch them, publish submissions, keep permanent links, mind the quota."""

from __future__ import annotations

from airflow_provider_visio.operators.visiono_batch import VisionoCreatePhotoRequestBatchOperator
from airflow_provider_visio.operators.visiono_permanent_links import (
    VisionoCreatePermanentLinkOperator,
    VisionoDeletePermanentLinkOperator,
    VisionoDownloadPermanentLinkPhotosOperator,
    VisionoUpdatePermanentLinkOperator,
)
from airflow_provider_visio.operators.visiono_photo_requests import (
    VisionoCreatePhotoRequestOperator,
    VisionoDeletePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.visiono_plan_usage import (
    VisionoGetStatsOperator,
    VisionoQuotaShortCircuitOperator,
)
from airflow_provider_visio.operators.visiono_submissions import VisionoPublishSubmissionsOperator

__all__ = [
    "VisionoCreatePermanentLinkOperator",
    "VisionoCreatePhotoRequestBatchOperator",
    "VisionoCreatePhotoRequestOperator",
    "VisionoDeletePermanentLinkOperator",
    "VisionoDeletePhotoRequestOperator",
    "VisionoDownloadPermanentLinkPhotosOperator",
    "VisionoDownloadPhotosOperator",
    "VisionoGetStatsOperator",
    "VisionoPublishSubmissionsOperator",
    "VisionoQuotaShortCircuitOperator",
    "VisionoUpdatePermanentLinkOperator",
]
