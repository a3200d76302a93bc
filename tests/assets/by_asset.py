"""What a task's context has by asset. Airflow 3.1 cannot use an asset as the key of a dict."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset


class ByAsset:
    """Values by asset, in pairs."""

    def __init__(self, *pairs: tuple[Asset, Any]) -> None:
        self._pairs = pairs

    def __getitem__(self, asset: Asset) -> Any:
        return next(value for key, value in self._pairs if key == asset)

    def items(self) -> tuple[tuple[Asset, Any], ...]:
        return self._pairs
