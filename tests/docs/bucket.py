"""A stand-in for S3: what is stored at s3:// stays in memory."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from airflow.sdk.io import attach, store
from fsspec.implementations.memory import MemoryFileSystem

# fsspec gives out a view of it only, under the module's own name.
_IMPLEMENTATIONS: dict[str, Any] = importlib.import_module("fsspec.registry")._registry


class Bucket(MemoryFileSystem):
    """Memory of its own, under S3's scheme."""

    protocol = ("s3",)
    root_marker = ""
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # As S3 has it: a bucket's name comes first.
        return super()._strip_protocol(path.removeprefix("s3://")).strip("/")


@contextmanager
def bucket() -> Iterator[dict[str, Any]]:
    """Have s3:// lead to an empty store, and yield it: path -> content."""
    fsspec.register_implementation("s3", Bucket, clobber=True)
    _detach()
    attach("s3", fs=Bucket())
    Bucket.store.clear()
    Bucket.pseudo_dirs[:] = [""]
    try:
        yield Bucket.store
    finally:
        Bucket.store.clear()
        _IMPLEMENTATIONS.pop("s3", None)
        _detach()


def _detach() -> None:
    # Airflow remembers each store for as long as the process lives, and has no word for forgetting one.
    store._STORE_CACHE.pop("s3", None)
