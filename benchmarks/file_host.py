"""A host of one large file that is 40 ms away, in its own process."""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from dev.polling import wait_for
from dev.processes import Child

# Seconds for a packet to the host and back: a new connection costs one such way, and a request another.
DISTANCE = 0.04


class FileHost:
    """`with FileHost(folder, size) as host:` runs the host.

    :param folder: a folder for its files
    :param size: length of the file in bytes; it begins as a JPEG does
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._file = folder / "photo.jpg"
        self._file.write_bytes(b"\xff\xd8\xff\xda\x00\x08\x01" + b"\x55" * (size - 9) + b"\xff\xd9")
        self._address = folder / "file_host"
        command = [sys.executable, "-m", "benchmarks.file_host", str(self._file), str(self._address)]
        self._child = Child("the file host", command, folder / "file_host.log", grace=2)
        self.url = ""

    def __enter__(self) -> Self:
        wait_for("the file host", self._address.is_file, timeout=30, every=0.05)
        self.url = self._address.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()


def serve(file: Path, address: Path) -> None:
    """Serve a file until the process ends, and write the URL to another file."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            time.sleep(DISTANCE)
            super().setup()

        def do_GET(self) -> None:
            time.sleep(DISTANCE)
            with file.open("rb") as source:
                self.send_response(200)
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("Content-Length", str(source.seek(0, 2)))
                self.end_headers()
                self.wfile.flush()
                self.connection.sendfile(source, 0)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    written = address.with_suffix(".new")
    written.write_text(f"http://127.0.0.1:{server.server_port}/photo.jpg")
    written.replace(address)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
