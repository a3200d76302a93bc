"""The requests session for API calls and downloads: no redirects, no cookies, no .netrc, and an end to each reply."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from airflow_provider_visio import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

USER_AGENT = f"airflow-provider-visio/{__version__}"

# A whole reply may take this many read timeouts: the read timeout alone bounds only the wait for each byte.
SLOWEST_REPLY = 10


class Session(requests.Session):
    """
    A session that follows no redirect, keeps no cookie and bounds the time until a reply's headers are complete.

    :param connections: how many connections it keeps open.
    :param ca_bundle: path of a file or folder of certificates that count beside those that requests reads.
    """

    def __init__(self, connections: int = 10, ca_bundle: str | None = None) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._from_environment: dict[tuple[str, str, str], Any] = {}
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(ca_bundle, pool_maxsize=connections))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Return None: requests would otherwise read the body to prepare the next request."""
        return None

    def merge_environment_settings(self, url: Any, *settings: Any) -> Any:
        """Return a request's proxies and authorities. They are read from the environment once for each host."""
        key = (*urlsplit(url)[:2], repr(settings))
        if key not in self._from_environment:
            self._from_environment[key] = super().merge_environment_settings(url, *settings)
        return dict(self._from_environment[key])


class HeaderAuth(requests.auth.AuthBase):
    """Authentication by header; given also without a key, since requests would read a .netrc file otherwise."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers."""
        request.headers.update(self._headers)
        return request


def lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers by their lower-case names."""
    return {name.lower(): value for name, value in headers.items()}


class _Adapter(HTTPAdapter):
    """Uses connections that bound the time for a reply's headers; also through a proxy."""

    def __init__(self, ca_bundle: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._changed = 0

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, settings = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._ca_bundle and verify is not False:
            # urllib3 adds the usual authorities to the context that it is given.
            settings["ssl_context"] = self._context_with(self._ca_bundle)
        return host, settings

    def _context_with(self, ca_bundle: str) -> ssl.SSLContext:
        changed = Path(ca_bundle).stat().st_mtime_ns
        if self._context is None or changed != self._changed:
            context = create_urllib3_context()
            load_ca_bundle(context, ca_bundle)
            self._context, self._changed = context, changed
        return self._context

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _bounded(pool.ConnectionCls)
        return pool


class _Bounded:
    """A connection whose reply headers must be complete within :data:`SLOWEST_REPLY` read timeouts."""

    sock: socket.socket | None

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        with self._bounded():
            return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    def _tunnel(self) -> None:
        """Read a proxy's reply to CONNECT."""
        with self._bounded():
            super()._tunnel()  # type: ignore[misc]

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        patience = self.sock.gettimeout() if self.sock else None
        if patience is None:
            yield
            return
        # A server that sends a header a minute never exceeds the read timeout of a single byte.
        too_late = threading.Event()
        timer = threading.Timer(SLOWEST_REPLY * patience, _shut_down, [self.sock, too_late])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if too_late.is_set():
            raise TimeoutError("the reply's headers take too long")


def load_ca_bundle(context: ssl.SSLContext, ca_bundle: str) -> None:
    """
    Load a file or a folder of certificates.

    :raises OSError: there are none, or none that can be read.
    """
    if Path(ca_bundle).is_dir():
        context.load_verify_locations(capath=ca_bundle)
    else:
        context.load_verify_locations(ca_bundle)


@lru_cache(maxsize=16)
def _bounded(connection: type[Any]) -> type[Any]:
    if issubclass(connection, _Bounded):
        return connection
    return type(connection.__name__, (_Bounded, connection), {})


def _shut_down(connected: socket.socket, too_late: threading.Event) -> None:
    too_late.set()
    with contextlib.suppress(OSError):  # it was closed meanwhile
        connected.shutdown(socket.SHUT_RDWR)


class _RedactSignatures(logging.Filter):
    """Removes signatures of links from what urllib3 logs."""

    _SIGNED = re.compile(r"\?[^\s\"]*(?:sig|token|credential)[^\s\"]*", re.IGNORECASE)

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                self._SIGNED.sub("?...", part) if isinstance(part, str) else part for part in record.args
            )
        return True


for _logger in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_logger).addFilter(_RedactSignatures())
