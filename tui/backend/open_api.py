"""One request to the Open API: the key, the client-side rate limit, what is sent again, and what each failure means.

The vendor's errors are told apart by `errorCode`, because the rate limits share HTTP 401 with a rejected key. No
frame of this module holds the key in a local variable while it raises: tracebacks may show locals.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import httpx

from tui.core import sites
from tui.core.errors import (
    ForbiddenError,
    KeyRejectedError,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
    UsageError,
    WizardError,
)
from tui.core.ports import Budget
from tui.i18n import _

ATTEMPTS = 3
_LIMITED = re.compile(r"CurrentLimiting$")
_BAD_KEY = re.compile(r"InvalidApi_?Key$", re.IGNORECASE)
_SECRETS = re.compile(r"(tkn_|wkcli_|token=)[A-Za-z0-9_-]+")
_SHORTEST_KEY = 8


def _version() -> str:
    try:
        return metadata.version("datakit-wizard")
    except metadata.PackageNotFoundError:
        return "0"


class Limiter:
    """At most `most` requests in any `period_s`; waits before one too many. All of them may come at once."""

    def __init__(
        self, most: int, period_s: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._most = most
        self._period = period_s
        self._clock = clock
        self._sleep = sleep
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait until a request may be sent, and count it."""
        while wait := self._wait():
            self._sleep(wait)

    def budget(self) -> Budget:
        """What may be sent at once, and when one more may."""
        with self._lock:
            now = self._clock()
            sent = sum(1 for time in self._times if time > now - self._period)
            left = self._most - sent
            return Budget(left, self._most, 0.0 if left else self._times[-sent] + self._period - now)

    def _wait(self) -> float:
        """Seconds until a request may be sent; 0 counts it."""
        with self._lock:
            now = self._clock()
            while self._times and self._times[0] <= now - self._period:
                self._times.popleft()
            if len(self._times) < self._most:
                self._times.append(now)
                return 0.0
            return self._times[0] + self._period - now


class ApiKey(httpx.Auth):
    """Puts the API key into each request. It has no surface: repr, str and pickling show nothing of it."""

    def __init__(self, value: str) -> None:
        self.__value = value.strip()

    def __repr__(self) -> str:
        return "<API key>"

    def __reduce__(self) -> str:
        raise TypeError("an API key is not to be pickled")

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["DF-API-KEY"] = self.__value
        yield request

    def kind(self) -> str:
        """What sort of credential it looks like: "token", "id" or ""."""
        if self.__value.startswith(("tkn_", "token_", "tokn_")):
            return "token"
        return "id" if self.__value.startswith("wsak_") else ""

    def hide(self, text: str) -> str:
        """`text` without the key and other credentials that the server may have repeated."""
        if len(self.__value) >= _SHORTEST_KEY:  # a shorter one is no key, but may be a word of the answer
            text = text.replace(self.__value, "***")
        return _SECRETS.sub(r"\1***", text)

    def check(self) -> None:
        """Raises UsageError for what cannot be a key. It says nothing of the key: all but a slip may be right."""
        if not self.__value:
            raise UsageError(_("The API key is empty."), remedy=_("Give it with --api-key-file or in the environment."))
        if not self.__value.isascii() or not self.__value.isprintable() or " " in self.__value:
            raise UsageError(
                _("The API key holds characters that no key has."),
                remedy=_("Copy it again from Management > API Key Management, the Key (Secret) alone."),
            )


class OpenApi:
    """The Open API of one workspace: `ask` sends one request. May be used from any thread."""

    def __init__(
        self,
        endpoint: str,
        key: ApiKey,
        *,
        requests_per_minute: int,
        time_scale: float,
        timeout_s: float,
        transport: httpx.BaseTransport | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.endpoint = endpoint
        self._key = key
        self._scale = time_scale
        self._sleep = sleep
        self._limiter = Limiter(requests_per_minute, 60 / time_scale, clock=clock, sleep=sleep)
        self._http = httpx.Client(
            base_url=f"{self.endpoint}/api/v1/",
            auth=self._key,
            headers={
                # Python's default is turned away by the CDN in front of some sites.
                "User-Agent": f"datakit-wizard/{_version()}",
                "Accept": "application/json",
            },
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
            follow_redirects=False,  # a redirect would carry the key to another host
            trust_env=not sites.is_loopback(self.endpoint),  # a proxy cannot reach this machine's own addresses
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def budget(self) -> Budget:
        """What the client's own rate limit leaves."""
        return self._limiter.budget()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Any = ...,
        repeat: bool = True,
        patience_s: float = 60.0,
    ) -> Any:
        """Send one request and return its `content`.

        With `repeat` it is sent again after a failure of the network or the server. A request that the
        rate limit turned away was not carried out, so it waits and is sent again in any case, for
        `patience_s` in all.
        """
        waited, pause, failures = 0.0, 5.0, 0
        while True:
            try:
                return self._once(method, path, query, body)
            except RateLimitedError:
                if waited >= patience_s:
                    raise
                pause = min(pause * 2, patience_s - waited)
                waited += pause
                self._sleep(pause / self._scale)
            except _TransientError as error:
                failures += 1
                if not repeat or failures == ATTEMPTS:
                    raise UnreachableError(
                        error.what, object=error.object, why=error.why, remedy=error.remedy
                    ) from None
                self._sleep(failures / self._scale)

    def _once(self, method: str, path: str, query: Mapping[str, str | int] | None, body: Any) -> Any:
        self._limiter.take()
        # Raised `from None`: the frames of the HTTP library hold the key's header, and tracebacks may show
        # locals.
        try:
            if body is ...:
                response = self._http.request(method, path, params=query)
            else:
                response = self._http.request(method, path, params=query, json=body)
        except httpx.HTTPError as error:
            failure = self._unreachable(error)
        except ValueError as error:
            failure = self.not_the_api(self._key.hide(str(error)))
        else:
            return self._content(response)
        raise failure from None

    def _unreachable(self, error: httpx.HTTPError) -> WizardError:
        """What a failure of the network says to a person."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLError):  # httpx wraps it twice
            cause = cause.__cause__ or cause.__context__
        text = self._key.hide(str(error) or type(error).__name__)
        host = urlsplit(self.endpoint).hostname or ""
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in text:
            return UnreachableError(
                _("The studio's certificate was not accepted."),
                object=self.endpoint,
                why=text,
                remedy=_("Behind a private CA, point SSL_CERT_FILE to its bundle."),
            )
        if isinstance(cause, ssl.SSLError):
            return UnreachableError(
                _("A secure connection to the studio could not be made."),
                object=self.endpoint,
                why=text,
                remedy=_("Check the port, and whether this address is to be written with http."),
            )
        if isinstance(error, httpx.ConnectError) and _is_name_error(text):
            return UnreachableError(
                _("There is no host {host}.").format(host=host),
                object=self.endpoint,
                why=text,
                remedy=_("Check the site's address and this machine's DNS."),
            )
        if isinstance(error, httpx.ProxyError):
            return UnreachableError(
                _("The proxy did not let the request through."),
                object=self.endpoint,
                why=text,
                remedy=_("Check HTTPS_PROXY and NO_PROXY."),
            )
        if isinstance(error, httpx.TimeoutException):
            return _TransientError(
                _("The studio did not answer in time."),
                object=self.endpoint,
                why=text,
                remedy=_("Check the address and that this machine may reach it."),
            )
        if isinstance(error, httpx.TransportError):
            return _TransientError(
                _("The studio cannot be reached."),
                object=self.endpoint,
                why=text,
                remedy=_("Check the address and that this machine may reach it."),
            )
        return self.not_the_api(text)

    def _content(self, response: httpx.Response) -> Any:
        """The `content` of an answer, or the error that it tells."""
        if response.is_redirect:
            target = urlsplit(response.headers.get("Location", "")).hostname or "?"
            raise self.not_the_api(_("It redirects to {host}; the key was not sent there.").format(host=target))
        try:  # other credentials in the answer, as the workspace's token, are of no use to us either
            body = json.loads(self._key.hide(response.text))
        except ValueError:
            body = None
        if not isinstance(body, dict) or not {"code", "success", "errorCode"} & set(body):
            if response.status_code >= 500:
                raise self._server_error(response.status_code, "")
            raise self.not_the_api(
                _("It answered {status} with something that is not the Open API's JSON.").format(
                    status=response.status_code
                )
            )
        code = str(body.get("errorCode") or "")
        if response.status_code == 200 and body.get("success", True) is True and not code:
            return body.get("content")
        raise self._told(response.status_code, code, body)

    def _told(self, status: int, code: str, body: Mapping[str, Any]) -> WizardError:
        """The error that an envelope tells. The code goes first: a rate limit has HTTP 401 as a bad key may."""
        message = str(body.get("message") or "")
        trace = str(body.get("traceId") or "")
        why = " ".join(part for part in (f"{status} {code}".strip(), message, trace) if part)
        name = code.rpartition(".")[2]
        if _LIMITED.search(name):
            whole = "Workspace" in name
            return RateLimitedError(
                _("The workspace's rate limit is reached.") if whole else _("The API key's rate limit is reached."),
                object=self.endpoint,
                why=why,
                remedy=_("The key is not the problem. Wait a minute; other programs may be using it too."),
            )
        if _BAD_KEY.search(name) or (status == 401 and not code):
            return KeyRejectedError(
                _("The studio rejected the API key."),
                object=self.endpoint,
                why=why,
                remedy=self._key_remedy(),
            )
        if name == "RouterNotFound":
            return self.not_the_api(why)
        if status == 404 or name.startswith("NotFound"):
            return NotFoundError(_("The studio does not have this."), object=self.endpoint, why=why)
        if status in (401, 403):
            return ForbiddenError(
                _("The API key may not do this."),
                object=self.endpoint,
                why=why,
                remedy=_("Dashboards need a key with the role Standard; Read-only suffices to verify."),
            )
        if status >= 500 or name == "InternalError":
            return self._server_error(status, why)
        return WizardError(_("The studio refused the request."), object=self.endpoint, why=why)

    def _key_remedy(self) -> str:
        kind = self._key.kind()
        if kind == "token":
            return _("This is the workspace's token, which agents use. The Open API wants an API key.")
        if kind == "id":
            return _("This looks like the Key ID. Use the Key (Secret) of the same row.")
        site = sites.find(self.endpoint)
        where = sites.title(site) if site else self.endpoint
        return _("Check the key, and that its workspace is on {site}: a key of another site looks the same.").format(
            site=where
        )

    def _server_error(self, status: int, why: str) -> WizardError:
        return _TransientError(
            _("The studio failed with {status}.").format(status=status),
            object=self.endpoint,
            why=why,
            remedy=_("Try again later."),
        )

    def not_the_api(self, why: str) -> UnreachableError:
        return UnreachableError(
            _("This is not a studio's Open API."),
            object=self.endpoint,
            why=why,
            remedy=_("Use the Open API's address of the site, not the console's or DataWay's."),
        )


class _TransientError(UnreachableError):
    """May pass by itself: worth another try where that is safe."""


def _is_name_error(text: str) -> bool:
    marks = (
        "getaddrinfo",
        "Name or service not known",
        "nodename nor servname",
        "No address associated",
        "resolution",
    )
    return any(mark in text for mark in marks)
