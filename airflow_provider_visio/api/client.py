"""
Two thin drivers over the pure parts: :class:`Client` (requests) and :class:`AsyncClient` (httpx).

The only module, with :mod:`.deadline`, that knows an HTTP library. Requests, replies, errors, retry and paging are
decided elsewhere, so the two can differ in nothing but how bytes are moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import certifi
import httpx
import requests
from tenacity import AsyncRetrying, Retrying
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from airflow_provider_visio import __version__, clock
from airflow_provider_visio.api.call import Reply
from airflow_provider_visio.api.config import http_url
from airflow_provider_visio.api.deadline import SLOWEST_REPLY, InTime
from airflow_provider_visio.api.error_hints import AMBIGUOUS_HINT
from airflow_provider_visio.api.pages import Pages, is_list
from airflow_provider_visio.api.rate_limit import STARVED
from airflow_provider_visio.api.rate_limit_file import SharedRateLimit
from airflow_provider_visio.api.reply import (
    host_in,
    is_plan_quota,
    limit_used_up,
    read_reply,
    unexpected_reply,
)
from airflow_provider_visio.api.retry import Retry
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    TransferError,
    VisioProviderError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.api.status_queries import StatusQuery

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 64 * 2**20
CHUNK_BYTES = 256 * 1024
# Of a file, so much must come within the time that a whole reply may take,
PIECE_BYTES = 16 * 1024
# and so many bytes a second on average once that time is over.
SLOWEST_FILE = 16 * 1024
MAX_HOPS = 5
# Calls that one event loop has under way at once.
CONCURRENCY = 10

_NO_LIST = "answered with something else than a list of objects in `data`"
_NOTHING: dict[str, Any] = {"data": None, "meta": {}, "links": {}}
# What is raised before a byte was sent: the library could not connect, or not make a request of the URL.
_NEVER_REACHED = (NewConnectionError, ConnectTimeoutError, NameResolutionError, LocationValueError)
_BAD_URL = (requests.exceptions.InvalidURL, httpx.InvalidURL, httpx.UnsupportedProtocol, LocationValueError)


class Client:
    """
    Calls of one service over one connection, from a worker.

    :param config: the connection's settings.
    :param reload: reads the connection again, for a key that was rotated.
    """

    def __init__(self, config: ServiceConfig, reload: Callable[[], ServiceConfig]) -> None:
        _check_bundle(config)
        self.config = config
        self._reload = reload
        self._ledger = SharedRateLimit(config)
        self._session = _Session()
        self._files = _Session(PIECE_BYTES)

    def send(self, call: Call) -> dict[str, Any]:
        """
        Send a call, again where that is safe, and return the reply's envelope.

        :raises VisioProviderError: the typed error that the last reply means.
        """
        retry = Retry(call, self.config)
        tries = Retrying(
            retry=retry, wait=retry.wait, sleep=clock.sleep, before_sleep=retry.announce, reraise=True
        )
        try:
            return tries(self._try, call, retry)
        except NotFoundError:
            if call.method == "DELETE" and retry.lost_reply:
                return _NOTHING  # an earlier try of ours has deleted it
            raise

    def pages(self, call: Call, *, limit: int | None = None, whole: bool = False) -> Iterator[dict[str, Any]]:
        """
        Yield the items of a list, page by page as they are asked for.

        :param limit: the most items to yield; None for all.
        :param whole: whether a reply without a list is an error too, rather than an empty list.
        :raises UnexpectedReplyError: a reply is no list, or the list cannot be followed to its end.
        """
        pages = Pages(call, limit)
        while pages.next is not None:
            guessed = pages.guessing
            try:
                envelope = self.send(pages.next)
            except (InvalidRequestError, NotFoundError):
                if guessed:
                    return  # the service takes no page numbers: what it gave was all
                raise
            if not is_list(envelope["data"]) or (whole and not guessed and envelope["data"] is None):
                raise unexpected_reply(call, self.config, _NO_LIST)
            yield from pages.take(envelope)
        if pages.cut:
            raise unexpected_reply(call, self.config, pages.cut)

    def sweep(self, sweep: StatusQuery) -> None:
        """Carry out a sweep; see :mod:`airflow_provider_visio.api.status_queries`."""
        with contextlib.suppress(StopIteration):
            request = next(sweep)
            while True:
                try:
                    envelope = self.send(request)
                except VisioProviderError as error:
                    request = sweep.throw(error)
                else:
                    request = sweep.send(envelope)

    @contextlib.contextmanager
    def open(self, url: str) -> Iterator[Download]:
        """
        Open a file's link for reading.

        The key goes along only where the link is on the API's own origin. Redirects are followed, each time with
        that question asked anew.

        :raises ConnectionFailedError: the host cannot be reached; while the file is read: it stops sending, or has sent
            less than 16 KiB a second once ten read timeouts are over.
        :raises TransferError: the link is not one that can be followed.
        """
        started = clock.ticks()
        for _ in range(MAX_HOPS):
            _check_link(url)
            response = self._get_file(url)
            location = response.headers.get("location")
            if not (response.is_redirect and location):
                break
            response.close()
            url = _next_hop(url, location)
        else:
            raise TransferError(f"The file's link is redirected more than {MAX_HOPS} times.")
        with contextlib.closing(response):
            chunks = _chunks(response, started, SLOWEST_REPLY * self.config.read_timeout)
            yield Download(response.status_code, _lower(response.headers), chunks)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()
        self._files.close()

    def _try(self, call: Call, retry: Retry) -> dict[str, Any]:
        if retry.reload:
            self.config = self._reload()
        self._await_turn(call, retry)
        sent = clock.now()
        reply = self._exchange(call)
        if not is_plan_quota(call, reply, self.config):
            self._ledger.learn(reply, sent=sent, now=clock.now())
        return read_reply(call, reply, self.config, now=clock.now())

    def _await_turn(self, call: Call, retry: Retry) -> None:
        while (pause := self._ledger.book(clock.now(), retry.patience)) > 0:
            if pause > retry.patience:
                raise limit_used_up(call, self.config, pause)
            log.info("%s allows the next call in %.1f s.", self.config.service.name, pause)
            retry.waited(pause)
            clock.sleep(pause)
            if not self._ledger.is_closed(clock.now()):
                return  # the turn stands: nobody was refused meanwhile

    def _exchange(self, call: Call) -> Reply:
        config = self.config
        url, content = call.url(config.base_url), call.content()
        # A kept connection that the server is just closing loses the reply: what must not be repeated gets its own.
        session = self._session if call.repeatable else _Session()
        try:
            with session.request(
                call.method,
                url,
                data=content,
                headers=_headers(call),
                auth=_Headers(config.auth),
                timeout=(config.connect_timeout, config.read_timeout),
                verify=config.verify,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = Body(call, config)
                for chunk in response.iter_content(CHUNK_BYTES):
                    body.add(chunk)
                return Reply(response.status_code, _lower(response.headers), body.bytes())
        except VisioProviderError:
            raise
        except Exception as error:
            # Not only the library's own errors: bytes that nobody expected come out as any other.
            raise _no_reply(call, config, error, reached=not _never_reached(error)) from error
        finally:
            if session is not self._session:
                session.close()

    def _get_file(self, url: str) -> requests.Response:
        config = self.config
        try:
            return self._files.get(
                url,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                auth=_Headers(config.auth if config.owns(url) else {}),
                timeout=(config.connect_timeout, config.read_timeout),
                verify=config.verify,
                allow_redirects=False,
                stream=True,
            )
        except Exception as error:  # noqa: BLE001 - as in _exchange
            # Not "from error": its text has the link with its signature.
            raise ConnectionFailedError(
                f"The file's host{host_in(url)} did not answer ({_name(error)}).", conn_id=config.conn_id
            ) from None


class AsyncClient:
    """
    The same calls from a trigger's event loop.

    :param config: the connection's settings.
    :param reload: reads the connection again, for a key that was rotated.
    :param polling: whether these are the calls of a poll, which go only where others leave room, and wait for that.
    """

    def __init__(
        self, config: ServiceConfig, reload: Callable[[], Awaitable[ServiceConfig]], *, polling: bool = False
    ) -> None:
        _check_bundle(config)
        self.config = config
        self.calls = 0
        self._reload = reload
        self._polling = polling
        self._ledger = SharedRateLimit(config, in_loop=True)
        # In single file, or a thousand polls would ask for the next turn whenever one is given out.
        self._queue = asyncio.Lock()
        self._slots = asyncio.Semaphore(CONCURRENCY)
        # One TLS context for the process: making one costs some 20 ms in which the event loop stands still.
        self._http = httpx.AsyncClient(
            verify=_tls(_trusted(config)), follow_redirects=False, event_hooks={"response": [_set_aside]}
        )

    async def send(self, call: Call) -> dict[str, Any]:
        """
        Send a call, again where that is safe, and return the reply's envelope.

        :raises VisioProviderError: the typed error that the last reply means.
        """
        retry = Retry(call, self.config)
        tries = AsyncRetrying(
            retry=retry, wait=retry.wait, sleep=clock.asleep, before_sleep=retry.announce, reraise=True
        )
        try:
            return await tries(self._try, call, retry)
        except NotFoundError:
            if call.method == "DELETE" and retry.lost_reply:
                return _NOTHING
            raise

    async def pages(self, call: Call, *, limit: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield the items of a list, page by page as they are asked for; at most ``limit``."""
        pages = Pages(call, limit)
        while pages.next is not None:
            guessed = pages.guessing
            try:
                envelope = await self.send(pages.next)
            except (InvalidRequestError, NotFoundError):
                if guessed:
                    return
                raise
            if not is_list(envelope["data"]):
                raise unexpected_reply(call, self.config, _NO_LIST)
            for item in pages.take(envelope):
                yield item
        if pages.cut:
            raise unexpected_reply(call, self.config, pages.cut)

    async def sweep(self, sweep: StatusQuery) -> None:
        """Carry out a sweep; see :mod:`airflow_provider_visio.api.status_queries`."""
        with contextlib.suppress(StopIteration):
            request = next(sweep)
            while True:
                try:
                    envelope = await self.send(request)
                except VisioProviderError as error:
                    request = sweep.throw(error)
                else:
                    request = sweep.send(envelope)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._http.aclose()

    async def _try(self, call: Call, retry: Retry) -> dict[str, Any]:
        if retry.reload:
            self.config = await self._reload()
        async with self._slots:
            async with self._queue:
                await self._await_turn(call, retry)
            sent = clock.now()
            self.calls += 1
            reply = await self._exchange(call)
        if not is_plan_quota(call, reply, self.config):
            self._ledger.learn(reply, sent=sent, now=clock.now())
        return read_reply(call, reply, self.config, now=clock.now())

    async def _await_turn(self, call: Call, retry: Retry) -> None:
        started, granted = clock.ticks(), False
        while not granted:
            now = clock.now()
            if self._polling:
                granted, pause = self._ledger.ask(now, self.config.reserve, clock.ticks() - started)
            else:
                granted, pause = True, self._ledger.book(now, retry.patience)
                if pause > retry.patience:
                    raise limit_used_up(call, self.config, pause)
                retry.waited(pause)
            if pause > 0:
                # Asked again in between, for others may have made room, or starved it for long enough.
                await clock.asleep(pause if granted else min(pause, STARVED))

    def budget_left(self) -> tuple[list[int], float]:
        """Return the calls that polls may still make in each window, and the part left of the longest."""
        return self._ledger.left(clock.now(), self.config.reserve)

    async def _exchange(self, call: Call) -> Reply:
        config = self.config
        url, content = call.url(config.base_url), call.content()
        try:
            async with (
                asyncio.timeout(config.connect_timeout + SLOWEST_REPLY * config.read_timeout),
                self._http.stream(
                    call.method,
                    url,
                    content=content,
                    headers=_headers(call),
                    auth=_set_headers(config.auth),
                    timeout=httpx.Timeout(config.read_timeout, connect=config.connect_timeout),
                ) as response,
            ):
                body = Body(call, config)
                async for chunk in response.aiter_bytes(CHUNK_BYTES):
                    body.add(chunk)
                headers = {**_lower(response.headers), **response.extensions[_ASIDE]}
                return Reply(response.status_code, headers, body.bytes())
        except VisioProviderError:
            raise
        except Exception as error:
            raise _no_reply(call, config, error, reached=not _never_reached(error)) from error


class Download:
    """
    A file being read.

    :param status: HTTP status.
    :param headers: headers by lower-case name.
    :param chunks: the bytes, in pieces.
    """

    def __init__(self, status: int, headers: Mapping[str, str], chunks: Iterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.chunks = chunks


class Body:
    """A reply's body as it comes in, bounded in size."""

    def __init__(self, call: Call, config: ServiceConfig) -> None:
        self._call = call
        self._site = config
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take one more piece."""
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size > MAX_REPLY_BYTES:
            raise unexpected_reply(
                self._call, self._site, f"answered with more than {MAX_REPLY_BYTES >> 20} MiB"
            )

    def bytes(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._parts)


class _CutSignatures(logging.Filter):
    """Takes signatures of links out of what urllib3 logs: each call, and headers that it cannot read."""

    _SIGNED = re.compile(r"\?[^\s\"]*(?:sig|token|credential)[^\s\"]*", re.IGNORECASE)

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                self._SIGNED.sub("?...", part) if isinstance(part, str) else part for part in record.args
            )
        return True


for _logger in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_logger).addFilter(_CutSignatures())


class _Session(requests.Session):
    """Follows no redirect, not even in thought, and waits for no reply for ever."""

    def __init__(self, piece: int | None = None) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, InTime(piece))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Return None: requests would read the body and parse the target, and fail where that is nonsense."""
        return None


class _Headers(requests.auth.AuthBase):
    """Authentication by header; given even without a key, for requests would look into a .netrc file otherwise."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def _set_headers(headers: Mapping[str, str]) -> Callable[[httpx.Request], httpx.Request]:
    def auth(request: httpx.Request) -> httpx.Request:
        request.headers.update(headers)
        return request

    return auth


_ASIDE = "redirect"


async def _set_aside(response: httpx.Response) -> None:
    """Hide where a redirect leads from httpx, which would parse it and fail where that is nonsense."""
    location = response.headers.pop("location", None)
    response.extensions[_ASIDE] = {} if location is None else {"location": location}


USER_AGENT = f"airflow-provider-visio/{__version__}"


def _headers(call: Call) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _name(error: BaseException) -> str:
    return type(error).__name__


def _never_reached(error: BaseException) -> bool:
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError, *_BAD_URL)):
        return True
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, SSLError):
        # TLS can also break while a reply is read; only a refused certificate shows that nothing was sent.
        return any(isinstance(part, ssl.SSLCertVerificationError) for part in (reason, *reason.args))
    return isinstance(reason, _NEVER_REACHED)


def _no_reply(
    call: Call, config: ServiceConfig, error: BaseException, *, reached: bool
) -> VisioProviderError:
    ambiguous = reached and call.changes
    if isinstance(error, _BAD_URL):
        advice = "The connection's Host is not a URL that can be called."
    elif not reached:
        advice = (
            "It was never reached: check the connection's Host, the network and, for a TLS error, `verify`."
        )
    elif not call.repeatable:
        advice = AMBIGUOUS_HINT
    else:
        advice = "The reply was lost on the way; try again later, or raise the connection's timeout."
    failed = ConnectionFailedError(
        f"{config.service.name} gave no reply ({_name(error)}). {advice} "
        f"[{call.method} {call.path}, connection {config.conn_id}]",
        conn_id=config.conn_id,
        ambiguous=ambiguous,
    )
    failed.hint = advice
    return failed


def _check_link(url: str) -> None:
    if http_url(url) is None:
        raise TransferError("The service gave a link to a file that is not an http(s) URL.")


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
        # One read of the socket at a time: `iter_content` waits for whole chunks, as long as something drips.
        return bytes(response.raw.read1(CHUNK_BYTES, decode_content=True))
    except Exception as error:  # noqa: BLE001 - as in _exchange
        raise ConnectionFailedError(f"The file's host stopped sending ({_name(error)}).") from None


def _trusted(config: ServiceConfig) -> bool | str:
    """Return what `requests` would trust, with its environment variables, so that both drivers trust the same."""
    merged = requests.Session().merge_environment_settings(
        url=config.base_url, proxies={}, stream=False, verify=config.verify, cert=None
    )
    verify = merged["verify"]
    return certifi.where() if verify is True or verify is None else verify


def _check_bundle(config: ServiceConfig) -> None:
    if not isinstance(config.verify, str):
        return
    try:
        _tls(config.verify)
    except OSError as error:  # ssl.SSLError is one
        missing = not Path(config.verify).exists()
        problem = (
            "there is no such file on this machine"
            if missing
            else f"it holds no certificates ({_name(error)})"
        )
        raise InvalidRequestError(
            f"ca_bundle: {config.verify!r} cannot be used: {problem}. [connection {config.conn_id}]",
            fields={"ca_bundle": [problem]},
            conn_id=config.conn_id,
        ) from None


@lru_cache(maxsize=16)
def _tls(verify: bool | str) -> ssl.SSLContext | bool:  # noqa: FBT001
    if not isinstance(verify, str):
        return verify
    if Path(verify).is_dir():
        return ssl.create_default_context(capath=verify)
    return ssl.create_default_context(cafile=verify)
