"""The settings of one connection as data: base URL, authentication header, timeouts, limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_visio.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Characters that end a path, or that no URL can have.
_NOT_IN_PATH = re.compile(r"[?#\x00-\x20\x7f\ud800-\udfff]")
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(/|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Service:
    """
    The fixed facts of a service.

    :param name: its name in messages.
    :param default_base_url: the documented base URL.
    :param auth_header: header that carries the key.
    :param key_page: where people see and change their keys, for messages.
    :param auth_prefix: the text before the key in that header.
    :param denied_advice: the advice on a 403; empty for a general one.
    :param quota_advice: the advice on a used-up quota; empty where the service has none.
    """

    name: str
    default_base_url: str
    auth_header: str
    key_page: str
    auth_prefix: str = ""
    denied_advice: str = ""
    quota_advice: str = ""


@dataclass(frozen=True)
class ServiceConfig:
    """
    One service as one connection reaches it.

    :param service: the service.
    :param conn_id: id of the Airflow connection, for messages.
    :param base_url: where the API is, without a slash at the end.
    :param key: the API key.
    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for each part of a reply.
    :param verify: whether to verify TLS certificates, or the path of the only CA bundle that counts.
    :param ca_bundle: path of a CA bundle that counts beside the public authorities.
    :param proxy: URL of a proxy, which goes before the environment's; it may hold a user and a password.
    :param max_attempts: how often a repeatable call is sent at most.
    :param rate_limit_wait: seconds that one call may wait because the service asks for it.
    :param limits: ``(seconds, calls)`` that the service allows, the shortest window first.
    :param reserve: part of the limits, from 0 to 1, that polls leave to other calls.
    :param extra: the connection's other extras, by name.
    :param hidden: further texts that no error may show.
    """

    service: Service
    conn_id: str
    base_url: str
    key: str = field(repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    verify: bool | str = True
    ca_bundle: str | None = None
    proxy: str | None = field(default=None, repr=False)
    max_attempts: int = 5
    rate_limit_wait: float = 120.0
    limits: tuple[tuple[float, int], ...] = ()
    reserve: float = 0.25
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @property
    def auth(self) -> dict[str, str]:
        """The header that carries the key."""
        return {self.service.auth_header: f"{self.service.auth_prefix}{self.key}"}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that nothing may show, even where the service repeats them."""
        others = [str(self.extra.get(name) or "") for name in ("workflow_secret", "webhook_secret")]
        others.append(unquote(urlsplit(self.proxy or "").password or ""))
        return tuple(secret for secret in (self.key, *others, *self.hidden) if secret)

    @property
    def route(self) -> dict[str, Any]:
        """How requests reaches a host: the arguments of a request, for the API and for files."""
        # For the request, not the session: there the environment's proxies would go first.
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        return {
            "timeout": (self.connect_timeout, self.read_timeout),
            "verify": self.verify,
            "proxies": proxies,
            "allow_redirects": False,
            "stream": True,
        }

    def owns(self, url: str) -> bool:
        """Whether a URL is on the API's own origin, the only one that may see the key."""
        return http_url(url) is not None and _origin(url) == _origin(self.base_url)


def base_url_from(service: Service, host: str | None, port: int | None, schema: str | None) -> str:
    """
    Return the base URL of a connection.

    ``host`` may be a whole URL, a host with a path, or just a host; a path may also stand in ``schema``, where
    Airflow puts it for a connection given as a URI. No path means the documented one. No scheme means https,
    or http on this machine's own loopback address.

    :raises InvalidRequestError: the result is not a URL that can be called.
    """
    host = (host or "").strip()
    if not host:
        return service.default_base_url
    schema = (schema or "").strip()
    scheme = schema.lower() if schema.lower() in {"http", "https"} else ""
    path = "" if scheme else schema.strip("/")
    if _NOT_IN_PATH.search(path):
        raise InvalidRequestError.of(
            "schema",
            "the connection's Schema must be http, https or a path such as 'v1'; leave it empty for the usual",
        )
    if host.count(":") > 1 and "/" not in host and not host.startswith("["):
        host = f"[{host}]"  # Airflow hands over an IPv6 address without its brackets
    if "://" not in host:
        host = f"{scheme or ('http' if _LOOPBACK.match(host) else 'https')}://{host}"
    parts = http_url(host)
    if parts is None or "@" in parts.netloc or re.search(r"\s", host):
        raise InvalidRequestError.of(
            "host",
            f"the base URL in the {service.name} connection's Host cannot be used; give one such as "
            f"{service.default_base_url}, or leave Host empty for that one",
        )
    netloc = parts.netloc.rstrip(":")
    if port and not parts.port:
        netloc = f"{netloc}:{_checked_port(port)}"
    given_path = "/".join(part for part in (parts.path.strip("/"), path) if part)
    if not given_path:
        given_path = urlsplit(service.default_base_url).path.strip("/")
    return f"{parts.scheme}://{netloc}/{given_path}".rstrip("/")


def proxy_url(given: str | None) -> str | None:
    """
    Return the URL of a connection's proxy, or None where it has none.

    :raises ValueError: it is not an http(s) URL; the text does not repeat it.
    """
    if given and http_url(given) is None:
        raise ValueError("proxy must be a URL such as http://user:password@proxy.example.com:3128")
    return given or None


def http_url(url: str) -> SplitResult | None:
    """Return the parts of an http(s) URL, or None where it is not one that can be called."""
    try:
        url.encode()
        parts = urlsplit(url)
        # A host name such as "a..b" cannot be looked up.
        (parts.hostname or "").encode("idna")
        # A backslash ends the host for requests, but not for urlsplit.
        good = "\\" not in url and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if good else None


def _checked_port(port: object) -> int:
    try:
        number = int(str(port))
    except ValueError:
        number = 0
    if not 0 < number < 2**16:
        raise InvalidRequestError.of(
            "port",
            "the connection's Port must be a whole number from 1 to 65535; leave it empty for the usual one",
        )
    return number


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default
