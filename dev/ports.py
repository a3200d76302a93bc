"""Find free ports on the loopback interface."""

from __future__ import annotations

import random
import socket

# Below the range of ephemeral ports, so that no outgoing connection takes the port before the server
# starts.
RANGE = range(20000, 32000)
TRIES = 50


def is_free(port: int) -> bool:
    """Return whether a server can listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """Return the preferred port if it is free, or else another free port."""
    if preferred is not None and is_free(preferred):
        return preferred
    for port in random.sample(RANGE, TRIES):
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
