"""The studio's Open API over HTTPS: workspace, queries and dashboards (Guance and TrueWatch alike).

Only what may be sent twice is sent twice: reads, and the creation of a dashboard whose uuid we chose. The
vendor's errors are told apart by `errorCode`, because the rate limits share HTTP 401 with a rejected key.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from tui.core import sites
from tui.core.errors import (
    DeadlineError,
    ForbiddenError,
    KeyRejectedError,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
    UsageError,
    WizardError,
)
from tui.core.ports import Dashboard, Series, Workspace
from tui.core.query import PromQL
from tui.i18n import _

_BATCH = 50
_SLIMIT = 1000  # the server's own default may cut at 20 groups
_PAGE = 100
_LIMITED = re.compile(r"CurrentLimiting$")
_BAD_KEY = re.compile(r"InvalidApi_?Key$", re.IGNORECASE)
_SECRETS = re.compile(r"(tkn_|wkcli_|token=)[A-Za-z0-9_-]+")
_RUNNING = ("running", "pending")
_ATTEMPTS = 3


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

    def take(self) -> None:
        """Wait until a request may be sent, and count it."""
        while True:
            now = self._clock()
            while self._times and self._times[0] <= now - self._period:
                self._times.popleft()
            if len(self._times) < self._most:
                self._times.append(now)
                return
            self._sleep(self._times[0] + self._period - now)


class _Key(httpx.Auth):
    """Puts the API key into each request. It has no surface: repr, str and pickling show nothing of it."""

    def __init__(self, value: str) -> None:
        self.__value = value

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
        return _SECRETS.sub(r"\1***", text.replace(self.__value, "***"))


def _api_key(text: str) -> _Key:
    key = text.strip()
    if not key:
        raise UsageError(_("The API key is empty."), remedy=_("Give it with --api-key-file or in the environment."))
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            _("The API key holds characters that no key has."),
            remedy=_("Copy it again from Management > API Key Management, the Key (Secret) alone."),
        )
    return _Key(key)


class StudioClient:
    """One workspace, by its Open API. Implements `ports.Studio`; requests go out one at a time, from any
    thread.
    """

    def __init__(
        self,
        endpoint: str,
        key: str,
        console: str = "",
        *,
        requests_per_minute: int = 20,
        time_scale: float = 1.0,
        timeout_s: float = 15.0,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = sites.endpoint(endpoint)
        site = sites.find(self.endpoint)
        self.console = (console or (site.console if site else "")).rstrip("/")
        self._key = _api_key(key)
        self._scale = time_scale
        self._clock = clock
        self._sleep = sleep
        self._limiter = Limiter(requests_per_minute, 60 / time_scale, clock=clock, sleep=sleep)
        self._workspace: Workspace | None = None
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

    def __repr__(self) -> str:
        return f"StudioClient({self.endpoint!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # What ports.Studio asks for

    def workspace(self) -> Workspace:
        """Checks the key, and says at once when the rate limit is reached. The answer's ingest token is
        dropped here.
        """
        content = self._ask("GET", "workspace/get", patience_s=0)
        uuid = content.get("uuid") if isinstance(content, dict) else None
        if not isinstance(uuid, str) or not uuid:
            raise self._not_the_api(_("The answer names no workspace."))
        self._workspace = Workspace(uuid, str(content.get("name") or uuid))
        return self._workspace

    def query(self, queries: Sequence[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        """DQL (and PromQL, as `query.PromQL`) texts, answered in order, many in one request. No data is an
        empty list.
        """
        answers: list[list[Series]] = []
        for first in range(0, len(queries), _BATCH):
            items = [self._item(text, start_ms, end_ms) for text in queries[first : first + _BATCH]]
            answers += [_series(item) for item in self._finished(items)]
        return answers

    def find_dashboard(self, uuid: str) -> Dashboard | None:
        """The dashboard with this uuid, None where there is none."""
        try:
            return self._dashboard(self._ask("GET", f"dashboards/{quote(uuid, safe='')}/get"))
        except NotFoundError:
            return None

    def dashboards(self, search: str = "") -> list[Dashboard]:
        """The workspace's dashboards, all pages of them; `search` is a part of the name."""
        found: list[Dashboard] = []
        page = 1
        while True:
            query: dict[str, str | int] = {"pageIndex": page, "pageSize": _PAGE}
            if search:
                query["search"] = search
            content = self._ask("GET", "dashboards/list", query=query)
            rows = content if isinstance(content, list) else (content or {}).get("data") or []
            found += [self._dashboard(row) for row in rows]
            if len(rows) < _PAGE:
                return found
            page += 1

    def create_dashboard(self, uuid: str, name: str, template: Mapping[str, Any], *, identifier: str) -> Dashboard:
        """Create it under a uuid of ours, so that it exists once however often this is called.

        After a failure that leaves the outcome open, the uuid is looked up before anything is sent again.
        """
        body = {
            "name": name,
            "desc": "",
            "identifier": identifier,
            "templateInfo": dict(template),
            "specifyDashboardUUID": uuid,
            "isPublic": 1,  # else only the key sees it, and no person does
        }
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._dashboard(self._ask("POST", "dashboards/create", body=body, repeat=False))
            except (KeyRejectedError, RateLimitedError, ForbiddenError):
                raise
            except WizardError as error:
                found = self.find_dashboard(uuid)
                if found is not None:
                    return found
                if not isinstance(error, UnreachableError) or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def delete_dashboard(self, uuid: str) -> None:
        """Delete it; one that is gone already is fine."""
        try:
            self._ask("POST", f"dashboards/{quote(uuid, safe='')}/delete", body=None)
        except NotFoundError:
            return

    def export_dashboard(self, uuid: str) -> dict[str, Any]:
        """The dashboard's template as the studio holds it now. Raises NotFoundError."""
        content = self._ask("GET", f"dashboards/{quote(uuid, safe='')}/export")
        return content if isinstance(content, dict) else {}

    def link(self, dashboard: Dashboard, variables: Mapping[str, str]) -> str:
        """The page of a dashboard in the console, its variables set; "" where the console's address is not
        known.
        """
        if not self.console:
            return ""
        parts = {
            "dashboard_id": dashboard.uuid,
            "name": dashboard.name,
            "w": self._workspace.uuid if self._workspace else "",
            "time": "15m",
            "variable": json.dumps(dict(variables), ensure_ascii=False, separators=(",", ":")) if variables else "",
        }
        text = "&".join(f"{key}={quote(value, safe='')}" for key, value in parts.items() if value)
        return f"{self.console}/scene/dashboard/dashboardDetail?{text}"

    def _dashboard(self, content: Any) -> Dashboard:
        if not isinstance(content, dict) or not isinstance(content.get("uuid"), str):
            raise self._not_the_api(_("The answer names no dashboard."))
        found = Dashboard(content["uuid"], str(content.get("name") or ""), str(content.get("identifier") or ""))
        return Dashboard(found.uuid, found.name, found.identifier, self.link(found, {}))

    # Queries

    def _item(self, text: str, start_ms: int, end_ms: int) -> dict[str, Any]:
        return {
            "qtype": "promql" if isinstance(text, PromQL) else "dql",
            "query": {
                "q": text,
                "timeRange": [start_ms, end_ms],
                "slimit": _SLIMIT,
                "disable_sampling": True,
                "ignore_cache": True,
                "tz": "UTC",
            },
        }

    def _finished(self, items: list[dict[str, Any]], *, deadline_s: float = 60.0) -> list[dict[str, Any]]:
        """The answers to `items`; those that run on are asked for again until they are done."""
        answers = self._data(self._ask("POST", "df/query_data_v1", body={"queries": items}), len(items))
        deadline = self._clock() + deadline_s / self._scale
        while open_ := [index for index, answer in enumerate(answers) if _running(answer)]:
            if self._clock() >= deadline:
                raise DeadlineError(
                    _("The studio did not finish a query in time."),
                    object=self.endpoint,
                    remedy=_("Try again, or ask for a shorter time range."),
                )
            self._sleep(1 / self._scale)
            again = [{**items[index], "async_id": answers[index]["async_id"]} for index in open_]
            content = self._ask("POST", "df/asynchronous/query_data", body={"queries": again})
            for index, answer in zip(open_, self._data(content, len(again)), strict=True):
                answers[index] = answer
        return answers

    def _data(self, content: Any, count: int) -> list[dict[str, Any]]:
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, list) or len(data) != count or not all(isinstance(item, dict) for item in data):
            raise self._not_the_api(_("The answer does not fit the queries."))
        for item in data:
            message = item.get("error") or item.get("error_message") or item.get("errorCode") or item.get("error_code")
            if message:
                raise WizardError(
                    _("The studio refused a query."), object=self.endpoint, why=self._key.hide(str(message))
                )
        return data

    # One request

    def _ask(
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
                if not repeat or failures == _ATTEMPTS:
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
            failure = self._not_the_api(self._key.hide(str(error)))
        else:
            return self._content(response)
        raise failure from None

    def _unreachable(self, error: httpx.HTTPError) -> WizardError:
        """What a failure of the network says to a person."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLError):
            cause = cause.__cause__ or cause.__context__
        text = self._key.hide(str(error) or type(error).__name__)
        host = urlsplit(self.endpoint).hostname or ""
        if isinstance(cause, ssl.SSLError) or "CERTIFICATE_VERIFY" in text:
            return UnreachableError(
                _("The studio's certificate was not accepted."),
                object=self.endpoint,
                why=text,
                remedy=_("Behind a private CA, point SSL_CERT_FILE to its bundle."),
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
        return self._not_the_api(text)

    def _content(self, response: httpx.Response) -> Any:
        """The `content` of an answer, or the error that it tells."""
        if response.is_redirect:
            target = urlsplit(response.headers.get("Location", "")).hostname or "?"
            raise self._not_the_api(_("It redirects to {host}; the key was not sent there.").format(host=target))
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or not {"code", "success", "errorCode"} & set(body):
            if response.status_code >= 500:
                raise self._server_error(response.status_code, "")
            raise self._not_the_api(
                _("It answered {status} with something that is not the Open API's JSON.").format(
                    status=response.status_code
                )
            )
        code = str(body.get("errorCode") or "")
        if response.status_code == 200 and body.get("success", True) is True and not code:
            return body.get("content")
        raise self._told(response.status_code, code, body)

    def _told(self, status: int, code: str, body: Mapping[str, Any]) -> WizardError:
        """The error that an envelope tells. The code goes first: a rate limit has HTTP 401 as a bad key
        may.
        """
        message = self._key.hide(str(body.get("message") or ""))
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
            return self._not_the_api(why)
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

    def _not_the_api(self, why: str) -> UnreachableError:
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


def _running(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is still to come. `complete: false` says nothing: finished answers carry it too."""
    return bool(answer.get("async_id")) and (answer.get("is_running") is True or answer.get("query_status") in _RUNNING)


def _series(answer: Mapping[str, Any]) -> list[Series]:
    """The series of one answer in all the spellings that sources show.

    An answer of texts (the show functions) comes as one Series a row, with the row's columns as its tags.
    """
    found: list[Series] = []
    for item in answer.get("series") or []:
        columns = [str(column) for column in item.get("columns") or item.get("column_names") or []]
        rows = item.get("values") or []
        if "time" not in columns:
            found += [Series(dict(zip(columns, map(str, row), strict=False)), (), ()) for row in rows]
            continue
        at = columns.index("time")
        names = ("time", *columns[:at], *columns[at + 1 :])
        values = tuple((_number(row[at]), *(_number(v) for v in (*row[:at], *row[at + 1 :]))) for row in rows)
        if values:
            found.append(Series(_tags(item), names, values))
    return found


def _tags(item: Mapping[str, Any]) -> dict[str, str]:
    given = item.get("tags") or item.get("labels")
    if given is None and isinstance(item.get("name"), list):
        given = item["name"]
    if isinstance(given, list):
        pairs = (str(pair).partition("=") for pair in given)
        return {key: value for key, _equals, value in pairs}
    return {str(key): str(value) for key, value in (given or {}).items()}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return float(value) if value is not None else None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
