"""
The HTTP driver, on requests: waits for a call's turn in the rate limit, sends it, and retries where that is safe.

How a call is sent is written once, as a coroutine. :class:`Client` runs it on a worker: its pauses and exchanges block,
so the coroutine never suspends. :class:`TriggerClient` runs it in a trigger: it pauses on the event loop, and only the
HTTP exchange runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import ssl
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from tenacity import AsyncRetrying
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from airflow_provider_visio import clock
from airflow_provider_visio.api.call import Reply
from airflow_provider_visio.api.download import CHUNK_BYTES, open_download
from airflow_provider_visio.api.error_hints import AMBIGUOUS_HINT
from airflow_provider_visio.api.http_session import (
    SLOWEST_REPLY,
    USER_AGENT,
    HeaderAuth,
    Session,
    load_ca_bundle,
    lower_case,
)
from airflow_provider_visio.api.one_time_queries import carry_out
from airflow_provider_visio.api.pages import Pages, is_list
from airflow_provider_visio.api.rate_limit import STARVED, SharedRateLimit
from airflow_provider_visio.api.reply import (
    error_of_call,
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
    VisioProviderError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.api.download import Download
    from airflow_provider_visio.api.one_time_queries import StatusQuery

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Envelope = dict[str, Any]

MAX_REPLY_BYTES = 64 * 2**20
# Calls that one trigger client has under way.
CONCURRENCY = 4
# Seconds after which a trigger's idle connection is not used again: a firewall may have dropped it in silence.
LONGEST_IDLE = 5.0
# Seconds after which a poll reads its connection again.
REREAD_AFTER = 300.0

# Not asyncio's own threads (to_thread): calls that hang would keep all triggers of the process from name look-ups.
_THREADS = ThreadPoolExecutor(2 * CONCURRENCY, thread_name_prefix="visio")

_NO_LIST = "answered with something else than a list of objects in `data`"
# Raised before a byte was sent.
_NEVER_REACHED = (NewConnectionError, ConnectTimeoutError, NameResolutionError, LocationValueError)
_BAD_URL = (requests.exceptions.InvalidURL, LocationValueError)


class _BaseClient(ABC):
    """How a call is sent; a worker and a trigger differ in how they pause, exchange and read the connection."""

    def __init__(self, config: ServiceConfig, *, in_loop: bool) -> None:
        self._in_loop = in_loop
        self._closed = threading.Event()
        self._read_at = clock.ticks()
        self._reading_failed = False
        self._limited: tuple[Any, ...] = ()
        self._use(config)

    @abstractmethod
    async def _pause(self, seconds: float) -> None:
        """Wait some seconds."""

    @abstractmethod
    async def _attempt(self, call: Call, retry: Retry) -> tuple[float, Reply]:
        """Wait for the call's turn, exchange it for a reply, and return when it was sent and the reply."""

    @abstractmethod
    async def _read_config(self) -> ServiceConfig:
        """Read the connection again."""

    def _use(self, config: ServiceConfig) -> None:
        _check_ca_bundle(config)
        # A session that a call uses meanwhile is left to it.
        self._session = Session(CONCURRENCY, config.ca_bundle)
        if (config.base_url, config.limits) != self._limited:
            self._limited = (config.base_url, config.limits)
            self._limit = SharedRateLimit(config, in_loop=self._in_loop)
        self.config = config

    async def _refresh(self) -> None:
        if clock.ticks() - self._read_at < REREAD_AFTER:
            return
        # Set first, so that other polls on this client go on meanwhile.
        self._read_at = clock.ticks()
        try:
            config = await self._read_config()
            if config != self.config:
                self._use(config)
                log.info("The connection %s has changed; calls now use its new settings.", config.conn_id)
            self._reading_failed = False
        except Exception as error:  # noqa: BLE001  Airflow and secrets backends raise errors of any kind
            if not self._reading_failed:
                log.warning(
                    "The connection %s cannot be read again (%s); calls go on with its earlier settings.",
                    self.config.conn_id,
                    error if isinstance(error, VisioProviderError) else type(error).__name__,
                )
            self._reading_failed = True

    async def _send(self, call: Call) -> Envelope:
        retry = Retry(call, self.config)
        try:
            async for attempt in AsyncRetrying(
                retry=retry, wait=retry.wait, sleep=self._pause, before_sleep=retry.announce, reraise=True
            ):
                with attempt:
                    if retry.reload:
                        self._use(await self._read_config())
                    sent, reply = await self._attempt(call, retry)
                    now = clock.now()
                    if not is_plan_quota(call, reply, self.config):
                        self._limit.learn(reply, sent=sent, now=now)
                    return read_reply(call, reply, self.config, now=now)
        except NotFoundError:
            if call.method == "DELETE" and retry.lost_reply:
                return {"data": None, "meta": {}, "links": {}}  # an earlier attempt has deleted it
            raise
        raise AssertionError("tenacity gives up by raising")

    async def _wait_for_turn(self, call: Call, retry: Retry) -> None:
        while (pause := self._limit.book(clock.now(), retry.patience)) > 0:
            if pause > retry.patience:
                raise limit_used_up(call, self.config, pause)
            log.info("%s allows the next call in %.1f s.", self.config.service.name, pause)
            retry.waited(pause)
            await self._pause(pause)
            if not self._limit.is_closed(clock.now()):
                return  # no other task was refused meanwhile, so the booked turn stands

    def _exchange(self, call: Call) -> Reply:
        config = self.config
        url, content = call.url(config.base_url), call.content()
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if content is not None:
            headers["Content-Type"] = "application/json"
        # A kept connection may lose the reply while the server closes it. A call that cannot be repeated has its own.
        shared = self._session
        session = shared if call.repeatable else Session(ca_bundle=config.ca_bundle)
        until = time.monotonic() + config.connect_timeout + SLOWEST_REPLY * config.read_timeout
        try:
            with session.request(
                call.method,
                url,
                data=content,
                headers=headers,
                auth=HeaderAuth(config.auth),
                **config.route,
            ) as response:
                body = self._read_body(call, response, until)
                return Reply(response.status_code, lower_case(response.headers), body)
        except VisioProviderError:
            raise
        except Exception as error:
            # Not only the library's own errors: unexpected bytes raise others.
            raise _no_reply(call, config, error) from error
        finally:
            if session is not shared:
                session.close()

    def _read_body(self, call: Call, response: requests.Response, until: float) -> bytes:
        body = bytearray()
        # One read of the socket at a time, so that neither dripping bytes nor a closed client are waited for.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_REPLY_BYTES:
                raise unexpected_reply(
                    call, self.config, f"answered with more than {MAX_REPLY_BYTES >> 20} MiB"
                )
            if time.monotonic() > until:
                raise TimeoutError("the whole reply takes too long")
            if self._closed.is_set():
                raise ConnectionAbortedError("the client was closed")
        return bytes(body)


class Client(_BaseClient):
    """
    Calls of one service over one connection, from a worker.

    :param config: the connection's settings.
    :param reload: reads the connection again, for a key that was rotated.
    """

    def __init__(self, config: ServiceConfig, reload: Callable[[], ServiceConfig]) -> None:
        super().__init__(config, in_loop=False)
        self._reload = reload

    def _use(self, config: ServiceConfig) -> None:
        super()._use(config)
        self._files = Session(ca_bundle=config.ca_bundle)

    def send(self, call: Call) -> Envelope:
        """
        Send a call, again where that is safe, and return the reply's envelope.

        :raises VisioProviderError: the typed error that the last reply means.
        """
        return _run(self._send(call))

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

    def refresh(self) -> None:
        """Read the connection again if the last time is minutes ago; where that fails, keep the settings."""
        _run(self._refresh())

    def query(self, query: StatusQuery) -> None:
        """Carry out a status query; see :mod:`airflow_provider_visio.api.one_time_queries`."""
        _run(carry_out(query, self._send))

    def open(self, url: str) -> AbstractContextManager[Download]:
        """Open a file's link for reading; see :func:`airflow_provider_visio.api.download.open_download`."""
        return open_download(self._files, self.config, url)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()
        self._files.close()

    async def _pause(self, seconds: float) -> None:
        clock.sleep(seconds)

    async def _attempt(self, call: Call, retry: Retry) -> tuple[float, Reply]:
        await self._wait_for_turn(call, retry)
        return clock.now(), self._exchange(call)

    async def _read_config(self) -> ServiceConfig:
        return self._reload()


class TriggerClient(_BaseClient):
    """
    Calls of one service over one connection, from a trigger's event loop.

    :param config: the connection's settings.
    :param reload: reads the connection again, for a key that was rotated.
    :param polling: whether these are the calls of a poll, which go only where others leave room, and wait for that.
    """

    def __init__(
        self, config: ServiceConfig, reload: Callable[[], Awaitable[ServiceConfig]], *, polling: bool = False
    ) -> None:
        super().__init__(config, in_loop=True)
        self._reload = reload
        self._polling = polling
        # One call at a time waits for its turn: a thousand polls would otherwise ask whenever one is given out.
        self._queue = asyncio.Lock()
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._used = 0.0

    async def send(self, call: Call) -> Envelope:
        """
        Send a call, again where that is safe, and return the reply's envelope.

        :raises VisioProviderError: the typed error that the last reply means.
        """
        return await self._send(call)

    async def refresh(self) -> None:
        """Read the connection again if the last time is minutes ago; where that fails, keep the settings."""
        await self._refresh()

    async def query(self, query: StatusQuery) -> None:
        """Carry out a status query; see :mod:`airflow_provider_visio.api.one_time_queries`."""
        await carry_out(query, self._send)

    def budget_left(self) -> tuple[list[int], float]:
        """Return the calls that polls may still make in each window, and the part left of the longest."""
        return self._limit.left(clock.now(), self.config.reserve)

    async def close(self) -> None:
        """Close the connections that are kept open; a call under way ends within one read timeout."""
        self._closed.set()
        self._session.close()

    async def _pause(self, seconds: float) -> None:
        await clock.asleep(seconds)

    async def _attempt(self, call: Call, retry: Retry) -> tuple[float, Reply]:
        async with self._slots:
            async with self._queue:
                await (self._wait_for_polling_turn() if self._polling else self._wait_for_turn(call, retry))
            if clock.ticks() - self._used > LONGEST_IDLE:
                self._session.close()
            try:
                return clock.now(), await _in_thread(lambda: self._exchange(call))
            finally:
                self._used = clock.ticks()

    async def _read_config(self) -> ServiceConfig:
        return await self._reload()

    async def _wait_for_polling_turn(self) -> None:
        """Wait until the rate limit has room beyond what it keeps for other calls."""
        started, granted = clock.ticks(), False
        while not granted:
            granted, pause = self._limit.ask(clock.now(), self.config.reserve, clock.ticks() - started)
            if pause > 0:
                # Ask again in between: other tasks may have left room, or the poll has starved for long enough.
                await self._pause(pause if granted else min(pause, STARVED))


async def _in_thread(work: Callable[[], Result]) -> Result:
    """Run some work in a thread of this provider, with the context of the caller."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, context.run, work)


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("the coroutine has suspended")


def _check_ca_bundle(config: ServiceConfig) -> None:
    bundle = config.verify if isinstance(config.verify, str) else config.ca_bundle
    if not bundle:
        return
    try:
        load_ca_bundle(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), bundle)
    except OSError as error:  # ssl.SSLError is one
        problem = f"it holds no certificates ({type(error).__name__})"
        if not Path(bundle).exists():
            problem = "there is no such file on this machine"
        raise InvalidRequestError(
            f"ca_bundle: {bundle!r} cannot be used: {problem}. [connection {config.conn_id}]",
            fields={"ca_bundle": [problem]},
            conn_id=config.conn_id,
        ) from None


def _never_reached(error: BaseException) -> bool:
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError, *_BAD_URL)):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, SSLError):
        # TLS can also break while a reply is read; only a refused certificate shows that nothing was sent.
        return any(isinstance(part, ssl.SSLCertVerificationError) for part in (reason, *reason.args))
    return isinstance(reason, _NEVER_REACHED)


def _no_reply(call: Call, config: ServiceConfig, error: BaseException) -> VisioProviderError:
    reached = not _never_reached(error)
    if isinstance(error, _BAD_URL):
        hint = "The connection's Host is not a URL that can be called."
    elif not reached:
        hint = (
            "It was never reached: check the connection's Host, the network, the proxy and, for a TLS error, "
            "`ca_bundle` and `verify`."
        )
    elif not call.repeatable:
        hint = AMBIGUOUS_HINT
    else:
        hint = "The reply was lost on the way; try again later, or raise the connection's timeout."
    what = f"gave no reply ({type(error).__name__})"
    return error_of_call(
        ConnectionFailedError, call, config, what, hint=hint, ambiguous=reached and call.changes
    )
