"""The HTTP side: TLS, who asks, may they, and which part answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tui.lab.apiserver import (
    authn,
    bootstrap,
    discovery,
    errors,
    managers,
    media,
    openapi,
    protobuf,
    resources,
    schema,
    streams,
)
from tui.lab.apiserver.bodies import decode_value, no_kind
from tui.lab.apiserver.call import Call, read_call
from tui.lab.apiserver.gojson import json_problem
from tui.lab.apiserver.kubelets import Kubelets
from tui.lab.apiserver.limits import REVIEWS, refuse_write
from tui.lab.apiserver.namespaces import NamespaceCleaner
from tui.lab.apiserver.patches import patch
from tui.lab.apiserver.rbac import Attributes, Authorizer, attributes_of, impersonated
from tui.lab.apiserver.reads import get_object, list_objects, number, selection
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.reviews import review
from tui.lab.apiserver.store import Store
from tui.lab.apiserver.watch import Watch
from tui.lab.apiserver.writes import Writer, shelf_name, target_of

Obj = dict[str, Any]
BODY_LIMIT = 3 * 1024 * 1024
METHODS = {
    "get": "get", "list": "list", "watch": "watch", "create": "create", "update": "update", "patch": "patch",
    "delete": "delete", "deletecollection": "deletecollection",
}  # fmt: skip


class ApiServer:
    """A Kubernetes API server in memory, on 127.0.0.1.

    `server_cert` and `server_key` are its own certificate (PEM), `client_ca` the CA of its users' certificates: CN is
    the user, O the groups. `kubelets` answers exec, log and proxy; without it they are 501. `audit` is called once a
    request with user, verb, object, whether it was a dry run, and the status of the answer.
    """

    def __init__(
        self,
        *,
        server_cert: Path,
        server_key: Path,
        client_ca: Path,
        kubelets: Kubelets | None = None,
        audit: Callable[[Obj], None] | None = None,
    ) -> None:
        self.store = Store()
        self.kubelets = kubelets
        self.audit = audit
        self.url = ""
        self._files = (server_cert, server_key, client_ca)
        self._authenticator = authn.Authenticator(client_ca)
        self._authorizer = Authorizer(self.store)
        self._writer = Writer(self.store)
        self._cleaner = NamespaceCleaner(self._writer, graceful=kubelets is not None)
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.seed(bootstrap.objects(), manager="kube-apiserver")

    def seed(self, objects: list[Obj], *, manager: str = "lab-seed", operation: str = "Update") -> None:
        """Put objects into the cluster before it starts, past admission and rights, owned by `manager`.

        The status that an object brings along is kept. Raises ValueError for kinds that are not held.
        """
        for found in objects:
            resource = resources.of_kind(found.get("apiVersion", ""), found.get("kind", ""))
            if resource is None or resource.shape is None:
                raise ValueError(f"cannot hold {found.get('apiVersion')} {found.get('kind')}")
            obj = decode_value(resource, found, [])
            target = target_of(resource)
            empty = schema.decode(target.shape, {})
            status = obj.get("status")
            if operation == "Apply":
                obj, _ = managers.apply(target, empty, found, manager, force=True)
                entries = obj["metadata"].get("managedFields", [])
                obj = decode_value(resource, obj, [])
                obj["metadata"]["managedFields"] = entries
            else:
                obj = managers.update(target, empty, obj, manager)
            self._writer.seed(resource, obj, status)

    async def start(self, port: int = 0) -> str:
        """Listen; returns `https://127.0.0.1:PORT`."""
        self._stopping.clear()
        app = web.Application(client_max_size=BODY_LIMIT + 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
        await self._runner.setup()
        context = authn.server_context(*self._files)
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """End all watches and stop listening."""
        self._stopping.set()
        self._cleaner.stop()
        for shelf in self.store.shelves.values():
            for waiter in shelf.waiters:
                waiter.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # -- one request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = read_call(
            request.method, unquote(request.rel_url.raw_path), request.rel_url.raw_query_string, request.headers
        )
        try:
            user = self._authenticator.user_of(_certificate(request), request.headers)
            call.user = impersonated(self._authorizer, user, request.headers)
            if request.can_read_body:
                call.body = await request.read()
            response = await self._answer(request, call)
        except errors.ApiError as error:
            response = _failure(error)
        except errors.PlainError as error:
            response = web.Response(status=error.code)
            if error.text:
                response = web.Response(status=error.code, text=error.text, content_type="text/plain")
        except web.HTTPRequestEntityTooLarge:
            text = f"limit on the request's size is {BODY_LIMIT} bytes"
            response = _failure(errors.ApiError(413, f"Request entity too large: {text}", "RequestEntityTooLarge"))
        except (KeyError, TypeError, ValueError, AssertionError, AttributeError, IndexError) as error:
            # A hole in this server, not in the request's: say so instead of half an answer.
            text = f"this practice control plane failed on the request: {type(error).__name__}: {error}"
            response = _failure(errors.internal(text))
        if call.warnings and not response.prepared:
            for text in dict.fromkeys(call.warnings):
                response.headers.add("Warning", "299 - " + json.dumps(text, ensure_ascii=False))
        if call.verb != "watch" or response.status != 200:  # a watch is logged when it begins
            self._log(call, response.status)
        return response

    def _log(self, call: Call, status: int) -> None:
        if self.audit is None:
            return
        self.audit(
            {
                "user": call.user.name,
                "verb": call.verb,
                "group": call.group,
                "resource": call.resource,
                "subresource": call.subresource,
                "namespace": call.namespace,
                "name": call.name,
                "path": call.path,
                "dry_run": call.dry_run,
                "status": status,
            }
        )

    async def _answer(self, request: web.Request, call: Call) -> web.StreamResponse:
        self._authorizer.require(call.user, attributes_of(call))
        if not call.resource:
            return self._outside(call)
        if call.api_version not in resources.groups():
            raise errors.no_such_path() if call.group not in ("", *discovery.names()) else errors.no_such_resource()
        resource = call.held
        if resource is None or (resource.namespaced and call.name and not call.namespaced_path and _names_one(call)):
            raise errors.no_such_resource()
        if call.namespaced_path and not resource.namespaced and resource.plural != "namespaces":
            raise errors.no_such_resource()
        if call.method == "HEAD":
            raise errors.method_not_allowed()
        if call.subresource:
            return await self._subresource(request, call, resource)
        return await self._objects(request, call, resource)

    async def _objects(self, request: web.Request, call: Call, resource: Resource) -> web.StreamResponse:
        one = _names_one(call)
        if (
            call.verb not in resource.verbs
            or (call.verb == "create" and one)
            or (call.verb in ("update", "patch") and not one)
            or (call.verb in ("create", "deletecollection") and resource.namespaced and not call.namespaced_path)
        ):
            raise errors.method_not_allowed()
        if one and "%" in call.name:
            raise errors.bad_request(f"Name parameter invalid: {errors.quoted(call.name)}: may not contain '%'")
        if call.verb == "watch":
            return await self._watch(request, call, resource)
        form = media.negotiate(call)
        if call.verb == "get":
            return _object(call, resource, get_object(self.store, call, resource), form)
        if call.verb == "list":
            items, meta = list_objects(self.store, call, resource)
            return _json(media.present_list(call, resource, items, meta, form), form)
        if resource.kind in REVIEWS and resource.shape is not None:
            return _json(review(self._authorizer, call, resource), form, 201)
        refuse_write(resource)
        if call.verb == "create":
            return _object(call, resource, self._writer.create(call, resource), form, 201)
        if call.verb == "update":
            obj, code = self._replaced(call, resource)
            return _object(call, resource, obj, form, code)
        if call.verb == "patch":
            obj, code = patch(self._writer, self._authorizer, call, resource)
            return _object(call, resource, obj, form, code)
        options = _delete_options(call)
        if call.verb == "delete":
            gone = self._writer.delete(call, resource, options)
            if resource.plural == "namespaces" and not call.dry_run:
                self._cleaner.begin(call.name)
            return _object(call, resource, gone, form)
        return _json(self._delete_all(call, resource, options), form)

    def _replaced(self, call: Call, resource: Resource) -> tuple[Obj, int]:
        asked = Attributes("create", resource.group, resource.plural, "", call.namespace, call.name)
        return self._writer.replace(call, resource, lambda: self._authorizer.require(call.user, asked))

    def _delete_all(self, call: Call, resource: Resource, options: Obj) -> Obj:
        chosen = selection(call, resource)
        found = [obj for _, obj in self.store.items(shelf_name(resource), call.namespace) if chosen(obj)]
        for obj in found:
            self._writer.delete_object(call, resource, obj, options)
        meta = {"resourceVersion": str(self.store.revision)}
        return media.present_list(call, resource, found, meta, media.Form())

    async def _subresource(self, request: web.Request, call: Call, resource: Resource) -> web.StreamResponse:
        sub = resource.subresources.get(call.subresource)
        if sub is None:
            raise errors.no_such_resource()
        if call.verb not in sub.verbs:
            raise errors.method_not_allowed()
        if resource.plural == "pods" and call.subresource in ("exec", "attach", "portforward"):
            streams.check_create(self._authorizer, call)
        if resource.plural == "pods" and call.subresource == "log":
            return await streams.log(request, self.store, self.kubelets, call)
        if resource.plural == "pods" and call.subresource == "proxy":
            return await streams.proxy(self.store, self.kubelets, call)
        if resource.plural == "pods" and call.subresource == "exec":
            nodes, container = streams.check_exec(self.store, self.kubelets, call)
            return await streams.exec_stream(request, nodes, container, call)
        if call.subresource == "status" and resource.shape is not None:
            form = media.negotiate(call)
            if call.verb == "get":
                return _object(call, resource, get_object(self.store, call, resource), form)
            if call.verb == "update":
                return _object(call, resource, self._replaced(call, resource)[0], form)
            obj, code = patch(self._writer, self._authorizer, call, resource)
            return _object(call, resource, obj, form, code)
        if resource.plural == "pods" and call.subresource == "binding":
            return _json(self._writer.bind(call, resource), media.negotiate(call), 201)
        if resource.plural == "namespaces" and call.subresource == "finalize":
            return _object(call, resource, self._writer.finalize(call, resource), media.negotiate(call))
        refuse_write(resource, call.subresource)
        raise errors.method_not_allowed()

    async def _watch(self, request: web.Request, call: Call, resource: Resource) -> web.StreamResponse:
        form = media.negotiate(call)
        watch = Watch(self.store, call, resource, self._stopping)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        await response.prepare(request)
        self._log(call, 200)
        first = True
        async for event in watch.events():
            if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                shown = media.present_object(call, resource, event["object"], form)
                if form.as_kind == "Table" and not first:
                    shown = {**shown, "columnDefinitions": None}
                event = {**event, "object": shown}
                first = False
            elif event["type"] == "BOOKMARK" and form.as_kind == "PartialObjectMetadata":
                event = {**event, "object": media.metadata_only(event["object"])}
            try:
                await response.write(media.encode(event, media.Form()))
            except ConnectionResetError:
                return response
        with contextlib.suppress(ConnectionResetError):  # whoever watched is gone
            await response.write_eof()
        return response

    # -- outside of the API's objects

    def _outside(self, call: Call) -> web.StreamResponse:
        if call.path.startswith("//"):
            raise errors.no_such_path()
        parts = [part for part in call.path.split("/") if part]
        found = self._document(call, parts)
        if call.method != "GET":
            raise errors.method_not_allowed()
        if isinstance(found, str):
            return web.Response(text=found, content_type="text/plain")
        body, kind = found
        return web.Response(
            body=json.dumps(body, separators=(",", ":")).encode() + b"\n", headers={"Content-Type": kind}
        )

    def _document(self, call: Call, parts: list[str]) -> str | tuple[Obj, str]:
        plain = "application/json"
        match parts:
            case []:
                return discovery.root_index(), plain
            case ["version"]:
                return dict(discovery.VERSION), plain
            case [("healthz" | "livez" | "readyz") as name]:
                return discovery.health(name, verbose=call.has("verbose"))
            case ["healthz" | "livez" | "readyz", *rest] if "/".join(rest) in ("etcd", *discovery.HEALTH_CHECKS):
                return "ok"
            case ["api" | "apis"] if discovery.wants_aggregated(call):
                return discovery.aggregated(core=parts == ["api"]), discovery.AGGREGATED
            case ["api"]:
                return discovery.api_versions(self.url.removeprefix("https://")), plain
            case ["apis"]:
                return discovery.group_list(), plain
            case ["apis", name]:
                found = discovery.group(name)
                if found is not None:
                    return {"kind": "APIGroup", "apiVersion": "v1", **found}, plain
            case ["api", version] | ["apis", _, version]:
                name = version if len(parts) == 2 else f"{parts[1]}/{version}"
                listed = discovery.resource_list(name)
                if listed is not None:
                    return listed, plain
                if len(parts) == 2 or parts[1] in discovery.names():
                    raise errors.no_such_resource()
            case ["openapi", "v3"] if not call.path.endswith("/"):
                return discovery.openapi_index(), "text/plain; charset=utf-8"
            case ["openapi", "v3", *rest]:
                found = openapi.document("/".join(rest))
                if found is not None:
                    return found, plain
                raise errors.PlainError(404, "")  # the handler of these documents says no more
        raise errors.no_such_path()


def _certificate(request: web.Request) -> bytes | None:
    ssl_object = request.transport.get_extra_info("ssl_object") if request.transport else None
    return ssl_object.getpeercert(binary_form=True) if ssl_object else None


def _names_one(call: Call) -> bool:
    """Whether the path itself names an object (a field selector may have set `name` too)."""
    return (
        bool(call.name)
        and call.verb not in ("list", "deletecollection")
        and not (call.verb == "watch" and "/watch/" not in call.path)
    )


def _delete_options(call: Call) -> Obj:
    found: Any = {}
    if call.body.startswith(protobuf.MAGIC):
        found = protobuf.decode_object(call.body)
    elif call.body.strip():
        try:
            found = json.loads(call.body)
        except ValueError as error:
            text = call.body.decode("utf-8", "replace")
            why = f"couldn't get version/kind; json parse error: {json_problem(text)}"
            raise errors.bad_request(why) from error
    if isinstance(found, dict) and found.get("kind") not in (None, "", "DeleteOptions"):
        raise errors.bad_request(no_kind(str(found["kind"]), str(found.get("apiVersion") or "")))
    try:
        options = schema.decode(schema.type_of("DeleteOptions"), found)
    except ValueError as error:
        text = f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: {error}'
        raise errors.bad_request(text) from error
    findings = []
    asked = call.values("dryRun") or options.get("dryRun") or []
    if asked and asked != ["All"]:
        findings.append(errors.unsupported("dryRun", asked, ["All"]))
    number(call, "gracePeriodSeconds")
    policy = call.get("propagationPolicy") or options.get("propagationPolicy")
    if policy and "orphanDependents" in options:
        text = "orphanDependents and deletionPropagation cannot be both set"
        findings.append(errors.invalid("propagationPolicy", policy, text))
    elif policy and policy not in ("Background", "Foreground", "Orphan"):
        allowed = ["Foreground", "Background", "Orphan", "nil"]
        findings.append(errors.unsupported("propagationPolicy", policy, allowed))
    if findings:
        raise errors.unprocessable("DeleteOptions", "meta.k8s.io", "", findings)
    return options


def _object(call: Call, resource: Resource, obj: Obj, form: media.Form, code: int = 200) -> web.Response:
    return _json(media.present_object(call, resource, obj, form), form, code)


def _json(obj: Any, form: media.Form, code: int = 200) -> web.Response:
    return web.Response(status=code, body=media.encode(obj, form), headers={"Content-Type": form.content_type})


def _failure(error: errors.ApiError) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return web.Response(status=error.code, body=json.dumps(error.body).encode() + b"\n", headers=headers)
