"""Three object stores, each an emulator behind a gate, reached by an Airflow connection."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk.io import store as airflow_store
from api.local_server import Answer
from tasks.conftest import *  # noqa: F403  the fixtures that run a task as Airflow does

from .emulators import emulator
from .gate import Gate

# Otherwise gcsfs asks Google over gRPC what kind of bucket it is, with TLS, at the emulator's port: 90 seconds a call.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

# The account that every Azurite has; its key is public.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Kind:
    """
    A kind of store.

    :param connection: its Airflow connection, by the store's URL.
    :param environment: the variables that replace the connection, by the store's URL.
    :param options: the options of its plain filesystem, by the store's URL.
    :param forbidden: its answer to a call that a role may not make.
    :param may_not_list: whether a role without the optional rights is refused a call; gets the status that the store
        would give.
    :param reads: matches a call that reads an object.
    """

    scheme: str
    connection: Callable[[str], dict[str, Any]]
    environment: Callable[[str], dict[str, str]]
    options: Callable[[str], dict[str, Any]]
    forbidden: Answer
    may_not_list: Callable[[str, int], bool]
    reads: re.Pattern[str]


def s3_may_not_list(call: str, status: int) -> bool:
    method, path = call.split(" ", 1)
    key = path.split("?")[0].strip("/").partition("/")[2]
    # S3 tells only those who may list that an object does not exist.
    return not key or method == "DELETE" or (method in {"GET", "HEAD"} and status == 404)


def gcs_may_not_list(call: str, status: int) -> bool:
    # A list of buckets or of objects, or a look at a bucket.
    return bool(re.match(r"GET /storage/v1/b(/[^/?]+(/o)?)?/?(\?|$)", call))


def azure_may_not_list(call: str, status: int) -> bool:
    return "restype=container" in call or call.startswith("DELETE ")


def azure(url: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={url}/{ACCOUNT};"
    )


KINDS = {
    "s3": Kind(
        "s3",
        lambda url: {
            "conn_type": "aws",
            "login": "an-access-key",
            "password": "a-secret-key",
            "extra": {"endpoint_url": url, "region_name": "us-east-1"},
        },
        lambda url: {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "an-access-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        lambda url: {"endpoint_url": url, "key": "an-access-key", "secret": "a-secret-key"},
        Answer(
            403,
            b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
            {"Content-Type": "application/xml"},
        ),
        s3_may_not_list,
        re.compile("GET "),
    ),
    "gs": Kind(
        "gs",
        lambda url: {
            "conn_type": "google_cloud_platform",
            "extra": {"gcs.endpoint": url, "project": "a-project", "is_anonymous": True},
        },
        lambda url: {"STORAGE_EMULATOR_HOST": url},
        lambda url: {"endpoint_url": url, "token": "anon", "project": "a-project"},
        Answer(
            403,
            {"error": {"code": 403, "message": "The caller does not have this right."}},
            {"Content-Type": "application/json"},
        ),
        gcs_may_not_list,
        re.compile("GET .*alt=media"),
    ),
    "abfs": Kind(
        "abfs",
        lambda url: {"conn_type": "wasb", "extra": {"connection_string": azure(url)}},
        lambda url: {"AZURE_STORAGE_CONNECTION_STRING": azure(url)},
        lambda url: {"connection_string": azure(url)},
        Answer(
            403,
            b"<Error><Code>AuthorizationPermissionMismatch</Code><Message>Not this right.</Message></Error>",
            {"Content-Type": "application/xml", "x-ms-error-code": "AuthorizationPermissionMismatch"},
        ),
        azure_may_not_list,
        re.compile("GET "),
    ),
}


@dataclass
class Store:
    """
    A bucket of a running store.

    :param kind: the kind of store.
    :param gate: takes all calls of the connection ``my_store``.
    :param plain: a filesystem that knows nothing of Airflow and remembers no listing; not through the gate.
    :param bucket: a bucket of this test; Azure calls it a container.
    """

    kind: Kind
    gate: Gate
    plain: Any
    bucket: str = field(default_factory=lambda: f"photos-{next(_NUMBERS)}")

    @property
    def url(self) -> str:
        """Return a destination in the bucket, by the connection."""
        return f"{self.kind.scheme}://my_store@{self.bucket}/claims"

    @property
    def uri(self) -> str:
        """Return the same without the connection."""
        return f"{self.kind.scheme}://{self.bucket}/claims"

    def content(self) -> dict[str, bytes]:
        """Return each object of the bucket by its key."""
        self.plain.invalidate_cache()
        return {
            path.removeprefix(f"{self.bucket}/"): self.plain.cat_file(path)
            for path in self.plain.find(self.bucket)
        }


_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[str, Gate]]]:
    """Return a function that gives the emulator of a scheme and its gate; started when first asked for."""
    with contextlib.ExitStack() as stack:
        started: dict[str, tuple[str, Gate]] = {}

        def get(scheme: str) -> tuple[str, Gate]:
            if scheme not in started:
                folder: Path = tmp_path_factory.mktemp(scheme)
                url = stack.enter_context(emulator(scheme, folder))
                gate = Gate(url, KINDS[scheme].forbidden)
                stack.callback(gate.close)
                started[scheme] = url, gate
            return started[scheme]

        yield get


@pytest.fixture(params=["s3", "gs", "abfs"])
def store(
    request: pytest.FixtureRequest,
    running: Callable[[str], tuple[str, Gate]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    sandbox: Any,
) -> Iterator[Store]:
    """A bucket of its own in each kind of store."""
    kind = KINDS[request.param]
    # The tests' clock is ahead of the real time, so the part files of other processes would look old.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    url, gate = running(kind.scheme)
    gate.open()
    monkeypatch.setenv("AIRFLOW_CONN_MY_STORE", json.dumps(kind.connection(gate.url)))
    plain = fsspec.filesystem(
        kind.scheme, **kind.options(url), use_listings_cache=False, skip_instance_cache=True
    )
    made = Store(kind, gate, plain)
    plain.mkdir(made.bucket)
    forget()
    yield made
    forget()


def forget() -> None:
    """Have Airflow and fsspec forget their filesystems, as a new process has none."""
    airflow_store._STORE_CACHE.clear()
    for scheme in KINDS:
        fsspec.get_filesystem_class(scheme).clear_instance_cache()
