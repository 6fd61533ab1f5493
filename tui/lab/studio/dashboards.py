"""Scene dashboards of the Open API (`/dashboards/…`), with the checks that the vendor documents."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tui.lab.studio.envelope import ApiError, envelope, json_body
from tui.lab.studio.store import Store

_UUID = re.compile(r"dsbd_custom_[a-z0-9]{32}")
_MAX_NAME, _MAX_DESC, _MAX_PAGE = 128, 2048, 100
# Kept beside what the API shows: templates leave only through export.
_HIDDEN = "templateInfo"

# The roles of API keys.
STANDARD, READ_ONLY = "standard", "read-only"
_CREATORS = {STANDARD: "wsak_practice", READ_ONLY: "wsak_reader"}


class Dashboards:
    """Handlers over the store. `role_of` tells the role of the key that a request comes with."""

    def __init__(self, store: Store, role_of: Callable[[web.Request], str]) -> None:
        self._store = store
        self._role_of = role_of

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        base = "/api/v1/dashboards"
        return [
            web.get(f"{base}/list", self.list),
            web.post(f"{base}/create", self.create),
            web.get(base + "/{uuid}/get", self.get),
            web.get(base + "/{uuid}/export", self.export),
            web.post(base + "/{uuid}/import", self.import_),
            web.post(base + "/{uuid}/modify", self.modify),
            web.post(base + "/{uuid}/delete", self.delete),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """`search` is part of the name; `pageSize` at most 100. How tags are filtered by is not documented: refused."""
        if "tagNames" in request.query:
            raise ApiError(400, "ft.InvalidParameter", "this practice studio does not filter by tagNames")
        search = request.query.get("search", "")
        page, size = _number(request, "pageIndex", 1), _number(request, "pageSize", 50)
        if page < 1 or not 1 <= size <= _MAX_PAGE:
            raise ApiError(400, "ft.InvalidParameter", "pageIndex starts at 1, pageSize is 1 to 100")
        seen = [body for body in self._store.dashboards() if self._may_see(request, body)]
        found = [body for body in seen if search.lower() in body["name"].lower()]
        shown = found[(page - 1) * size : page * size]
        info = {"count": len(shown), "pageIndex": page, "pageSize": size, "totalCount": len(found)}
        return envelope([_listed(body) for body in shown], pageInfo=info)

    async def create(self, request: web.Request) -> web.Response:
        """A new dashboard, under the uuid that the caller chose or one of ours. `name` overrides the
        template's title.
        """
        body = await json_body(request)
        name = _name(body)
        uuid = body.get("specifyDashboardUUID") or f"dsbd_{secrets.token_hex(16)}"
        if "specifyDashboardUUID" in body and not _UUID.fullmatch(uuid):
            raise ApiError(400, "ft.InvalidParameter", f"specifyDashboardUUID does not match {_UUID.pattern}")
        if self._store.dashboard(uuid) is not None:
            raise ApiError(400, "ft.DashboardAlreadyExists", "a dashboard with this uuid exists")
        template = _template(body) if "templateInfo" in body else {}
        now = time.time()
        dashboard = {
            "uuid": uuid,
            "id": None,
            "name": name,
            "desc": _text(body, "desc", _MAX_DESC),
            "identifier": _text(body, "identifier", _MAX_NAME),
            "workspaceUUID": self._store.workspace_uuid,
            "type": "CUSTOM",
            "ownerType": "node",
            "createdWay": "import" if template else "manual",
            "creator": "wsak_practice",
            "updator": "wsak_practice",
            "createAt": now,
            "updateAt": now,
            "deleteAt": -1,
            "status": 0,
            "isFavorite": False,
            "isPublic": body.get("isPublic", 0),
            "mapping": body.get("mapping") or [],
            "extend": body.get("extend") or {},
            "iconSet": {},
            "tag_info": _tags(uuid, body),
            "dashboardBindSet": [],
            **_charts(template),
            _HIDDEN: template,
        }
        self._store.keep_dashboard(dashboard, int(now * 1000))
        return envelope(_public(dashboard))

    async def get(self, request: web.Request) -> web.Response:
        """One dashboard without its template; HTTP 404 where it is not."""
        return envelope(_public(self._one(request)))

    async def export(self, request: web.Request) -> web.Response:
        """The template, titled as the dashboard is named now, with the uuids that newer exports give charts."""
        dashboard = self._one(request)
        template = {**dashboard[_HIDDEN], "title": dashboard["name"], "identifier": dashboard["identifier"]}
        if isinstance(template.get("main"), dict):
            charts = [
                {**chart, "uuid": own["chartUUID"], "chartGroupUUID": "", "prevGroupName": None}
                for chart, own in zip(template["main"].get("charts", []), dashboard["chartPos"], strict=True)
            ]
            template["main"] = {**template["main"], "charts": charts}
        return envelope(template)

    async def import_(self, request: web.Request) -> web.Response:
        """Overwrite the template; the uuid stays."""
        dashboard, body = self._one(request), await json_body(request)
        template = _template(body)
        return self._keep({**dashboard, **_charts(template), _HIDDEN: template})

    async def modify(self, request: web.Request) -> web.Response:
        """Change name, description, identifier, tags or visibility; no template."""
        dashboard, body = self._one(request), await json_body(request)
        if "name" in body:
            dashboard = {**dashboard, "name": _name(body), "old_name": dashboard["name"]}
        for key, most in (("desc", _MAX_DESC), ("identifier", _MAX_NAME)):
            if key in body:
                dashboard[key] = _text(body, key, most)
        dashboard.update({key: body[key] for key in ("isPublic", "mapping", "extend") if key in body})
        if "tagNames" in body:
            dashboard["tag_info"] = _tags(dashboard["uuid"], body)
        return self._keep(dashboard)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete by POST; answers {uuid: name}."""
        dashboard = self._one(request)
        self._store.delete_dashboard(dashboard["uuid"])
        return envelope({dashboard["uuid"]: dashboard["name"]})

    def _one(self, request: web.Request) -> dict[str, Any]:
        dashboard = self._store.dashboard(request.match_info["uuid"])
        if dashboard is None or not self._may_see(request, dashboard):
            raise ApiError(404, "ft.NotFoundDashboard", "the dashboard does not exist")
        return dashboard

    def _may_see(self, request: web.Request, dashboard: dict[str, Any]) -> bool:
        """A private dashboard (isPublic 0, the default) shows to the key that made it and to nobody else."""
        creator = _CREATORS[self._role_of(request)]
        return bool(dashboard.get("isPublic") == 1 or dashboard.get("creator") == creator)

    def _keep(self, dashboard: dict[str, Any]) -> web.Response:
        now = time.time()
        self._store.keep_dashboard({**dashboard, "updateAt": now}, int(now * 1000))
        return envelope(_public(dashboard))


def _public(dashboard: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in dashboard.items() if key != _HIDDEN}


def _listed(dashboard: dict[str, Any]) -> dict[str, Any]:
    """A dashboard as lists show it: its tags are told otherwise than those of a single one."""
    tags = dashboard["tag_info"].get(dashboard["uuid"], [])
    return {**_public(dashboard), "tag_info": {"sceneInfo": [], "tagInfo": tags}}


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdigit():
        raise ApiError(400, "ft.InvalidParameter", f"{name} is not a number")
    return int(text)


def _tags(uuid: str, body: dict[str, Any]) -> dict[str, Any]:
    return {uuid: [{"id": f"tag_{tag}", "name": tag} for tag in body.get("tagNames") or []]}


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME:
        raise ApiError(400, "ft.InvalidParameter", f"name is required, at most {_MAX_NAME} characters")
    return name


def _text(body: dict[str, Any], key: str, most: int) -> str:
    text = body.get(key, "")
    if not isinstance(text, str) or len(text) > most:
        raise ApiError(400, "ft.InvalidParameter", f"{key} is a text of at most {most} characters")
    return text


def _template(body: dict[str, Any]) -> dict[str, Any]:
    """The template of a body, if it has what the vendor requires of title and charts."""
    template = body.get("templateInfo")
    if not isinstance(template, dict) or not template.get("title") or not isinstance(template.get("main"), dict):
        raise ApiError(400, "ft.InvalidParameter", "templateInfo needs title and main")
    for chart in template["main"].get("charts", []):
        missing = [key for key in ("name", "type", "queries") if not chart.get(key)]
        if missing:
            raise ApiError(400, "ft.InvalidParameter", f"a chart lacks {', '.join(missing)}")
    return template


def _charts(template: dict[str, Any]) -> dict[str, Any]:
    charts = template.get("main", {}).get("charts", [])
    return {"chartPos": [{"chartUUID": f"chrt_{secrets.token_hex(16)}", "pos": chart.get("pos")} for chart in charts]}
