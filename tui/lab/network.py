"""The lab's network: a table (node, host:port) → what really answers there.

Agents and commands use the addresses that a real node would (127.0.0.1:2379, 172.16.0.229:2379, the Dataway's
name), and the table leads them to loopback sockets or to functions of this process. TLS verifies the host of
the URL, although the socket is elsewhere, so no port of the lab ever shows in a manifest, a conf, a tag or a
message.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import yarl

_LOOPBACK_NAMES = ("localhost",)


@dataclass(frozen=True)
class Request:
    """A request that a function of this process answers. `loopback` tells whether it came from the same
    machine.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    loopback: bool


@dataclass(frozen=True)
class Response:
    """An answer, whatever its status."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Socket:
    """A real TCP socket of this machine. `plain` speaks HTTP behind an https address (TLS ends before it)."""

    host: str
    port: int
    plain: bool = False


Endpoint = Socket | Handler


class Names(Protocol):
    """Who knows the names inside the cluster: Services, and which pod answers for one."""

    def find(self, host: str) -> Mapping[str, Any] | None: ...

    def endpoint(self, service: Mapping[str, Any], port: int) -> tuple[str, int] | None: ...


class NetworkError(Exception):
    """A request without an answer. `kind` is one of resolve, refused, timeout, verify, handshake,
    certificate, receive, scheme; `reason` says it in the words of the layer that failed.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True)
class _Key:
    node: str
    host: str
    port: int


class Network:
    """Which address leads where, as seen from each node, and an HTTP client that uses it."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}  # IP -> node
        self._table: dict[_Key, Endpoint] = {}
        self._outside: dict[tuple[str, int], Endpoint | None] = {}
        self._pods: dict[str, dict[int, Endpoint]] = {}  # IP -> what listens
        self._next: dict[str, int] = {}  # node -> the last byte of its next pod's address
        self.names: Names | None = None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by whether connections are kept

    def add_node(self, name: str, ip: str) -> None:
        """Make a node's address known to all nodes."""
        self._addresses[ip] = name

    def add_pod(self, node: str) -> str:
        """A new pod's address: of its node's own network, as flannel shares 10.244.0.0/16 out."""
        place = list(self._addresses.values()).index(node)
        while True:
            last = self._next.get(node, 2)
            self._next[node] = last + 1 if last < 254 else 2
            address = f"10.{244 + (place >> 8)}.{place & 255}.{last}"
            if address not in self._pods:
                self._pods[address] = {}
                return address

    def node_of_pod(self, address: str) -> str:
        """The address of the node that a pod's address belongs to, "" where no pod has it."""
        if address not in self._pods:
            return ""
        _ten, high, low, _last = (int(part) for part in address.split("."))
        return list(self._addresses)[((high - 244) << 8) + low]

    def remove_pod(self, address: str) -> None:
        """The pod is gone, and whatever listened in it."""
        self._pods.pop(address, None)

    def listen_in_pod(self, address: str, port: int, endpoint: Endpoint | None) -> None:
        """Let `endpoint` answer at a pod's port; None: nothing listens there any more."""
        ports = self._pods.get(address)
        if ports is not None and endpoint is not None:
            ports[port] = endpoint
        elif ports is not None:
            ports.pop(port, None)

    def listen(self, node: str, host: str, port: int, endpoint: Endpoint) -> None:
        """Let `endpoint` answer on a node; host "0.0.0.0" is its address and its loopback, else exactly that
        one.
        """
        hosts = ["127.0.0.1", self._ip(node)] if host == "0.0.0.0" else [host]
        for each in hosts:
            self._table[_Key(node, each, port)] = endpoint

    def listen_outside(self, host: str, port: int, endpoint: Endpoint | None) -> None:
        """Let `endpoint` answer at a name outside the cluster, for every node; None refuses connections."""
        self._outside[(host, port)] = endpoint

    def close_port(self, node: str, port: int) -> None:
        """Nothing listens on this port of the node any more."""
        for key in [key for key in self._table if key.node == node and key.port == port]:
            del self._table[key]

    def _ip(self, node: str) -> str:
        return next(ip for ip, name in self._addresses.items() if name == node)

    def find(self, node: str, host: str, port: int) -> Endpoint:
        """What answers at host:port as seen from `node`. Raises NetworkError (resolve, refused)."""
        if (host, port) in self._outside:
            outside = self._outside[(host, port)]
            if outside is None:
                raise NetworkError("refused", f"dial tcp {host}:{port}: connect: connection refused")
            return outside
        if host in _LOOPBACK_NAMES:
            host = "127.0.0.1"
        if host in self._addresses.values():
            host = self._ip(host)
        if host in self._pods:
            inside = self._pods[host].get(port)
            if inside is None:
                raise NetworkError("refused", f"dial tcp {host}:{port}: connect: connection refused")
            return inside
        if self.names is not None and (service := self.names.find(host)) is not None:
            behind = self.names.endpoint(service, port)
            if behind is None:
                address = service["spec"].get("clusterIP", host)
                raise NetworkError("refused", f"dial tcp {address}:{port}: connect: connection refused")
            return self.find(node, *behind)
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            raise NetworkError("resolve", f"lookup {host}: no such host") from None
        where = node if loopback else self._addresses.get(host, "")
        endpoint = self._table.get(_Key(where, "127.0.0.1" if loopback else host, port))
        if endpoint is None:
            shown = f"[{host}]" if ":" in host else host
            raise NetworkError("refused", f"dial tcp {shown}:{port}: connect: connection refused")
        return endpoint

    async def request(
        self,
        node: str,
        method: str,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 30.0,
    ) -> Response:
        """Send a request from `node`; `tls` None means the system's roots and no client certificate.

        Raises NetworkError where there is no answer.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError as error:
            raise NetworkError("scheme", f"invalid URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NetworkError("scheme", f'unsupported protocol scheme "{parts.scheme}"')
        endpoint = self.find(node, parts.hostname, port)
        path = parts.path or "/"
        if not isinstance(endpoint, Socket):
            if parts.scheme == "https":
                raise NetworkError("handshake", "tls: first record does not look like a TLS handshake")
            loopback = parts.hostname in _LOOPBACK_NAMES or parts.hostname.startswith("127.")
            request = Request(method, path, parts.query, dict(headers or {}), body, loopback)
            try:
                async with asyncio.timeout(timeout_s):  # Python 3.11's wait_for can lose a cancellation
                    return await endpoint(request)
            except TimeoutError:
                raise NetworkError("timeout", "context deadline exceeded") from None
        real = f"{'http' if endpoint.plain else parts.scheme}://{endpoint.host}:{endpoint.port}{path}"
        real += f"?{parts.query}" if parts.query else ""
        name = server_name or parts.hostname
        sent = {"Host": parts.netloc.rpartition("@")[2], **(headers or {})}
        # Dataway's connections are kept, as agents keep theirs; who scrapes or looks sees whether the port is open now.
        return await self._send(method, real, sent, body, tls, name, timeout_s, keep=endpoint.plain)

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        tls: ssl.SSLContext | None,
        server_name: str,
        timeout_s: float,
        *,
        keep: bool,
    ) -> Response:
        session = self._sessions.get(keep)
        if session is None:
            connector = aiohttp.TCPConnector(force_close=not keep, limit=64)
            session = self._sessions[keep] = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        secure = url.startswith("https://")
        try:
            async with session.request(
                method,
                yarl.URL(url, encoded=True),
                headers=headers,
                data=body or None,
                ssl=(tls or default_tls()) if secure else True,
                server_hostname=server_name if secure else None,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as answer:
                return Response(answer.status, await answer.read(), dict(answer.headers))
        except TimeoutError:
            raise NetworkError("timeout", "context deadline exceeded") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise NetworkError("verify", _verify_reason(error.certificate_error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error, secure=secure) from None

    async def close(self) -> None:
        """Close the client's connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions = {}


@cache
def default_tls() -> ssl.SSLContext:
    """TLS as Go does it without settings: the system's roots, the server verified, no client certificate."""
    return tls_context()


def tls_context(ca: bytes = b"", cert: str = "", key: str = "", *, insecure: bool = False) -> ssl.SSLContext:
    """A client's TLS settings: the authorities (PEM; none means the system's) and the paths of the client's
    pair.

    Raises OSError where the pair cannot be read, ssl.SSLError where PEM or key do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca:
        context.load_verify_locations(cadata=ca.decode("ascii", "replace"))
    else:
        context.load_default_certs()
    if cert and key:
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


def _verify_reason(error: BaseException) -> str:
    """A failed verification in the words of Go's crypto/x509."""
    message = getattr(error, "verify_message", "") or str(error)
    if "expired" in message:
        return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    if "mismatch" in message or "not valid for" in message:
        return f"tls: failed to verify certificate: x509: {message}"
    return "tls: failed to verify certificate: x509: certificate signed by unknown authority"


def _failure(error: BaseException, *, secure: bool) -> NetworkError:
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 8:
        causes.append(cause)
    text = " ".join(str(each) for each in causes)
    lowered = text.lower()
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return NetworkError("refused", "connect: connection refused")
    if "certificate_verify_failed" in lowered or "certificate verify failed" in lowered:
        return NetworkError("verify", _verify_reason(error))
    if "certificate required" in lowered or "certificate_required" in lowered:
        return NetworkError("certificate", "remote error: tls: certificate required")
    if "bad certificate" in lowered or "bad_certificate" in lowered:
        return NetworkError("certificate", "remote error: tls: bad certificate")
    for word in ("unknown ca", "certificate expired", "unsupported certificate", "certificate unknown"):
        if word in lowered or word.replace(" ", "_") in lowered:
            shown = "unknown certificate authority" if word == "unknown ca" else word
            return NetworkError("certificate", f"remote error: tls: {shown}")
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return NetworkError("handshake", "tls: first record does not look like a TLS handshake")
    disconnected = isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError)
    if secure and (disconnected or type(error) is aiohttp.ClientOSError):
        # TLS 1.3: the server refuses the client's certificate after the client has finished its part. Go's
        # TLS tells why; the stand-in's (asyncio) just hangs up.
        return NetworkError("certificate", "remote error: tls: bad certificate")
    if disconnected:
        return NetworkError("receive", "EOF")
    return NetworkError("receive", f"malformed HTTP response: {type(error).__name__}")
