"""Open a file's link for reading, with the key only where the link is on the API's own origin."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

from airflow_provider_visio import clock
from airflow_provider_visio.api.config import http_url
from airflow_provider_visio.api.http_session import SLOWEST_REPLY, USER_AGENT, HeaderAuth, lower_case
from airflow_provider_visio.api.reply import host_in, redact
from airflow_provider_visio.exceptions import ConnectionFailedError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.api.http_session import Session

CHUNK_BYTES = 256 * 1024
# Once the time that a whole reply may take is over, a file must have come at this many bytes a second on average.
SLOWEST_FILE = 16 * 1024
MAX_HOPS = 5


class Download:
    """
    A file being read.

    :param status: HTTP status.
    :param headers: headers by lower-case name.
    :param chunks: the bytes, in pieces.
    :param quiet: removes secrets, signatures and addresses from a text that came.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        chunks: Iterator[bytes],
        quiet: Callable[[str], str] = str,
    ) -> None:
        self.status = status
        self.headers = headers
        self.chunks = chunks
        self.quiet = quiet


@contextlib.contextmanager
def open_download(session: Session, config: ServiceConfig, url: str) -> Iterator[Download]:
    """
    Open a file's link for reading; redirects are followed, each with its own decision on the key.

    :param session: the HTTP session.
    :param config: the connection's settings.
    :param url: the link.
    :raises ConnectionFailedError: the host cannot be reached. While the file is read: the host stops sending, or has
        sent less than 16 KiB a second after ten read timeouts.
    :raises TransferError: the link cannot be followed.
    """
    started = clock.ticks()
    for _ in range(MAX_HOPS):
        if http_url(url) is None:
            raise TransferError("The service gave a link to a file that is not an http(s) URL.")
        response = _get(session, config, url)
        location = response.headers.get("location")
        if not (response.is_redirect and location):
            break
        response.close()
        url = _next_hop(url, location)
    else:
        raise TransferError(f"The file's link is redirected more than {MAX_HOPS} times.")
    with contextlib.closing(response):
        chunks = _chunks(response, started, SLOWEST_REPLY * config.read_timeout)
        yield Download(
            response.status_code, lower_case(response.headers), chunks, lambda text: redact(text, config)
        )


def _get(session: Session, config: ServiceConfig, url: str) -> requests.Response:
    try:
        return session.get(
            url,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            auth=HeaderAuth(config.auth if config.owns(url) else {}),
            **config.route,
        )
    except Exception as error:  # noqa: BLE001  bytes that no library expects raise any error
        # Not "from error": its text has the link with its signature.
        raise ConnectionFailedError(
            f"The file's host{host_in(url)} did not answer ({type(error).__name__}).{_advice(error)}",
            conn_id=config.conn_id,
        ) from None


def _advice(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return " Its certificate is not trusted: check the connection's `ca_bundle` and `verify`."
    if isinstance(error, requests.exceptions.ProxyError):
        return " Check the connection's `proxy`, or the environment's."
    return ""


def _next_hop(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
    except ValueError:
        raise TransferError("The file's link is redirected to something that is not a URL.") from None
    before, after = http_url(url), http_url(target)
    if before and after and (before.scheme, after.scheme) == ("https", "http"):
        raise TransferError(f"The file's link is redirected{host_in(target)} without TLS, which is refused.")
    return target


def _chunks(response: requests.Response, started: float, patience: float) -> Iterator[bytes]:
    size = 0
    while chunk := _next_chunk(response):
        size += len(chunk)
        spent = clock.ticks() - started
        if spent > patience + size / SLOWEST_FILE:
            raise ConnectionFailedError(
                f"The file's host sends too slowly to be waited for: {size} bytes in {spent:.0f} s."
            )
        yield chunk


def _next_chunk(response: requests.Response) -> bytes:
    try:
        # One read of the socket at a time: `iter_content` waits for whole chunks while bytes drip in.
        return bytes(response.raw.read1(CHUNK_BYTES, decode_content=True))
    except Exception as error:  # noqa: BLE001  as above
        raise ConnectionFailedError(f"The file's host stopped sending ({type(error).__name__}).") from None
