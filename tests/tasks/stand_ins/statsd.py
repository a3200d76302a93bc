"""As much of the statsd client as Airflow's metrics use, for the real one is not installed with Airflow."""

from __future__ import annotations

import socket
from typing import Any


class StatsClient:
    def __init__(self, host: str, port: int, prefix: str, *args: Any, **kwargs: Any) -> None:
        self._to, self._prefix = (host, port), prefix
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def _send(self, stat: str, value: str) -> None:
        self._socket.sendto(f"{self._prefix}.{stat}:{value}".encode(), self._to)

    def incr(self, stat: str, count: float = 1, rate: float = 1) -> None:
        self._send(stat, f"{count}|c")

    def gauge(self, stat: str, value: float, rate: float = 1, delta: bool = False) -> None:
        self._send(stat, f"{value}|g")

    def timing(self, stat: str, delta: float, rate: float = 1) -> None:
        self._send(stat, f"{delta}|ms")

    def timer(self, stat: str, rate: float = 1) -> Any:
        return Timer()


class Timer:
    ms = 0.0

    def start(self) -> Timer:
        return self

    def stop(self, send: bool = True) -> None:
        pass
