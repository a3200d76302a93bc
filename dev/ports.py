"""Ports on the loopback interface that nobody listens on."""

from __future__ import annotations

import random
import socket

# Below the range that the system hands to outgoing connections, so that nobody is given it by chance
# between our look and the server's start.
RANGE = range(20000, 32000)
TRIES = 50


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """Return the preferred port when it is free, otherwise another one."""
    if preferred is not None and is_free(preferred):
        return preferred
    for port in random.sample(RANGE, TRIES):
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
