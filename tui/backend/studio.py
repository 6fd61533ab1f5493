"""The studio's Open API over HTTPS: workspace, queries and dashboards (Guance and TrueWatch alike).

Only what may be sent twice is sent twice: reads, and the creation of a dashboard whose uuid we chose.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx

from tui.backend.open_api import ATTEMPTS, ApiKey, OpenApi
from tui.core import sites
from tui.core.errors import (
    DeadlineError,
    ForbiddenError,
    KeyRejectedError,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import Answer, Ask, Budget, Dashboard, Series, Workspace
from tui.core.query import PromQL
from tui.i18n import _

_BATCH = 100  # the largest of our views asks 90; no source states a limit
_SLIMIT = 1000  # the server's own default may cut at 20 groups
_PAGE = 100
_RUNNING = ("running", "pending")


class StudioClient:
    """One workspace, by its Open API. Implements `ports.Studio`; may be used from any thread."""

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
        secret = ApiKey(key)
        del key  # what raises below may be shown with its locals
        secret.check()
        self.endpoint = sites.endpoint(endpoint)
        site = sites.find(self.endpoint)
        self.console = (console or (site.console if site else "")).rstrip("/")
        self._scale = time_scale
        self._clock = clock
        self._sleep = sleep
        self._workspace: Workspace | None = None
        self._api = OpenApi(
            self.endpoint,
            secret,
            requests_per_minute=requests_per_minute,
            time_scale=time_scale,
            timeout_s=timeout_s,
            transport=transport,
            clock=clock,
            sleep=sleep,
        )

    def __repr__(self) -> str:
        return f"StudioClient({self.endpoint!r})"

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    # What ports.Studio asks for

    def workspace(self) -> Workspace:
        """Checks the key, and says at once when the rate limit is reached. The answer's ingest token is
        dropped here.
        """
        content = self._api.ask("GET", "workspace/get", patience_s=0)
        uuid = content.get("uuid") if isinstance(content, dict) else None
        if not isinstance(uuid, str) or not uuid:
            raise self._api.not_the_api(_("The answer names no workspace."))
        self._workspace = Workspace(uuid, str(content.get("name") or uuid))
        return self._workspace

    def query(self, queries: Sequence[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        """DQL (and PromQL, as `query.PromQL`) texts, answered in order, many in one request. No data is an
        empty list.
        """
        answers: list[list[Series]] = []
        for first in range(0, len(queries), _BATCH):
            items = [self._item(text, start_ms, end_ms) for text in queries[first : first + _BATCH]]
            for item in self._finished(items):
                if message := _refusal(item):
                    raise WizardError(_("The studio refused a query."), object=self.endpoint, why=message)
                answers.append(_series(item))
        return answers

    def answers(self, asks: Sequence[Ask], *, start_ms: int, end_ms: int) -> list[Answer]:
        """Many queries in one request. Where the studio refuses the request for the sake of a query, its halves are
        asked, until those that are to blame stand alone.
        """
        found: list[Answer] = []
        for first in range(0, len(asks), _BATCH):
            found += self._answers([self._asked(ask, start_ms, end_ms) for ask in asks[first : first + _BATCH]])
        return found

    def _answers(self, items: list[dict[str, Any]]) -> list[Answer]:
        try:
            return [Answer(tuple(_series(item)), _refusal(item)) for item in self._finished(items)]
        except WizardError as error:
            if type(error) is not WizardError:  # the network, the key or the limit: no query's fault
                raise
            if len(items) == 1:
                return [Answer(error=error.why or error.what)]
        half = len(items) // 2
        return self._answers(items[:half]) + self._answers(items[half:])

    def find_dashboard(self, uuid: str) -> Dashboard | None:
        """The dashboard with this uuid, None where there is none."""
        try:
            return self._dashboard(self._api.ask("GET", f"dashboards/{quote(uuid, safe='')}/get"))
        except NotFoundError:
            return None

    def dashboards(self, search: str = "", *, most: int | None = None) -> list[Dashboard]:
        """The workspace's dashboards, all pages of them or `most`, those changed last first; `search` is a part of
        the name.
        """
        found: list[Dashboard] = []
        page = 1
        while True:
            query: dict[str, str | int] = {"pageIndex": page, "pageSize": _PAGE}
            if search:
                query["search"] = search
            content = self._api.ask("GET", "dashboards/list", query=query)
            rows = content if isinstance(content, list) else (content or {}).get("data") or []
            found += [self._dashboard(row) for row in rows]
            if len(rows) < _PAGE or (most is not None and len(found) >= most):
                return found[:most]
            page += 1

    def create_dashboard(
        self,
        uuid: str,
        name: str,
        template: Mapping[str, Any],
        *,
        identifier: str,
        desc: str = "",
        tags: Sequence[str] = (),
    ) -> Dashboard:
        """Create it under a uuid of ours, so that it exists once however often this is called.

        After a failure that leaves the outcome open, the uuid is looked up before anything is sent again.
        """
        body = {
            **_about(name, identifier, desc, tags),
            "templateInfo": dict(template),
            "specifyDashboardUUID": uuid,
        }
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._dashboard(self._api.ask("POST", "dashboards/create", body=body, repeat=False))
            except (KeyRejectedError, RateLimitedError, ForbiddenError):
                raise
            except WizardError as error:
                found = self.find_dashboard(uuid)
                if found is not None:
                    return found
                if not isinstance(error, UnreachableError) or attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def update_dashboard(
        self,
        uuid: str,
        name: str,
        template: Mapping[str, Any],
        *,
        identifier: str,
        desc: str = "",
        tags: Sequence[str] = (),
    ) -> Dashboard:
        """Import the template over the one that is there, then set name, description and tags. Both may be sent
        twice. Raises NotFoundError.
        """
        path = f"dashboards/{quote(uuid, safe='')}"
        self._api.ask("POST", f"{path}/import", body={"templateInfo": dict(template)})
        return self._dashboard(self._api.ask("POST", f"{path}/modify", body=_about(name, identifier, desc, tags)))

    def delete_dashboard(self, uuid: str) -> None:
        """Delete it; one that is gone already is fine."""
        try:
            self._api.ask("POST", f"dashboards/{quote(uuid, safe='')}/delete", body=None)
        except NotFoundError:
            if self.find_dashboard(uuid) is not None:
                raise

    def export_dashboard(self, uuid: str) -> dict[str, Any]:
        """The dashboard's template as the studio holds it now. Raises NotFoundError."""
        content = self._api.ask("GET", f"dashboards/{quote(uuid, safe='')}/export")
        return content if isinstance(content, dict) else {}

    def budget(self) -> Budget:
        """What this client may send before the rate limit that the studio states."""
        return self._api.budget()

    def link(self, dashboard: Dashboard, variables: Mapping[str, str]) -> str:
        """The page of a dashboard in the console, its variables set; "" where the console's address is not known."""
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
            raise self._api.not_the_api(_("The answer names no dashboard."))
        found = Dashboard(
            content["uuid"],
            str(content.get("name") or ""),
            str(content.get("identifier") or ""),
            desc=str(content.get("desc") or ""),
        )
        return replace(found, url=self.link(found, {}))

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

    def _asked(self, ask: Ask, start_ms: int, end_ms: int) -> dict[str, Any]:
        item = self._item(ask.text, start_ms, end_ms)
        if ask.interval_s:
            item["query"]["interval"] = ask.interval_s
        elif item["qtype"] == "promql":
            item["query"]["promqlType"] = "instantQuery"
        return item

    def _finished(self, items: list[dict[str, Any]], *, deadline_s: float = 60.0) -> list[dict[str, Any]]:
        """The answers to `items`; those that run on are asked for again until they are done."""
        answers = self._data(self._api.ask("POST", "df/query_data_v1", body={"queries": items}), len(items))
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
            content = self._api.ask("POST", "df/asynchronous/query_data", body={"queries": again})
            for index, answer in zip(open_, self._data(content, len(again)), strict=True):
                answers[index] = answer
        return answers

    def _data(self, content: Any, count: int) -> list[dict[str, Any]]:
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, list) or len(data) != count or not all(isinstance(item, dict) for item in data):
            raise self._api.not_the_api(_("The answer does not fit the queries."))
        return data


def _about(name: str, identifier: str, desc: str, tags: Sequence[str]) -> dict[str, Any]:
    """What is said of a dashboard beside its template."""
    return {
        "name": name,
        "desc": desc,
        "identifier": identifier,
        "tagNames": list(tags),
        "isPublic": 1,  # else only the key sees it, and no person does
    }


def _refusal(item: Mapping[str, Any]) -> str:
    """Why one query of a request was refused, "" where it was not."""
    message = item.get("error") or item.get("error_message") or item.get("errorCode") or item.get("error_code")
    return str(message) if message else ""


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
            found.append(Series(_tags(item), names, values, _texts(columns, rows, at)))
    return found


def _texts(columns: list[str], rows: list[list[Any]], at: int) -> dict[str, str]:
    """The text in the newest row of each column that holds any; `at` is the time's column."""
    newest = max(rows, key=lambda row: _number(row[at]) or 0.0)
    return {
        column: value
        for column, value in zip(columns, newest, strict=False)
        if isinstance(value, str) and value and _number(value) is None
    }


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
