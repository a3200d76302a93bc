"""A stand-in for S3: what is stored at s3:// stays in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem


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
    attach("s3", fs=Bucket())
    Bucket.store.clear()
    Bucket.pseudo_dirs[:] = [""]
    try:
        yield Bucket.store
    finally:
        Bucket.store.clear()
