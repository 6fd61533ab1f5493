"""One Kubernetes cluster through the official client: the only module that imports kubernetes.

Objects are plain dicts over `DynamicClient.request` with a discoverer that does nothing: typed models cost
half a second, lose fields that they do not know, and the client's discovery keeps a predictable file in
/tmp.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject, should_bypass_proxies
from kubernetes.dynamic import DynamicClient

from tui.backend import exec_stream, lists, rollout
from tui.backend.api_errors import CredentialsRefusedError, connection_error, status_error
from tui.backend.endpoint import Endpoint, without_userinfo
from tui.backend.exec_credentials import Credential
from tui.backend.identity import Identity, validity_problem
from tui.backend.watch import WatchStream
from tui.core.errors import NotFoundError, RefusedError, UnreachableError, UsageError
from tui.core.ports import POD, Access, Applied, ExecResult, Kind, Object, Rollout, Row
from tui.i18n import _

_TIMEOUT_S = (5, 30)  # to connect, and between two reads
_WATCH_SILENCE_S = 90  # bookmarks come each minute: longer silence is a dead peer
_MOST_RETRY_AFTER_S = 5.0
_USER_AGENT = "datakit-wizard"

# The class below has a method `list`, so its annotations cannot say it.
Objects = list[Object]
Rows = list[Row]
Query = list[tuple[str, str]]
Verdicts = list[bool]


class _Retry(urllib3.Retry):
    """urllib3's retries, which wait as long as Retry-After says: here a busy server may ask for a few seconds."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _MOST_RETRY_AFTER_S)


class _Rest(RESTClientObject):
    """The client's transport with our TLS context and identity headers, of which some may come several times."""

    def __init__(self, configuration: Configuration, context: ssl.SSLContext | None) -> None:
        super().__init__(configuration)
        if context:
            self.pool_manager.connection_pool_kw["ssl_context"] = context
        self.identity: list[tuple[str, str]] = []

    def request(self, method: str, url: str, headers: Any = None, *args: Any, **options: Any) -> Any:
        merged = urllib3.HTTPHeaderDict(headers or {})
        for name, value in self.identity:
            merged.add(name, value)
        return super().request(method, url, merged, *args, **options)  # type: ignore[no-untyped-call]


class KubernetesReader:
    """`tui.core.ports.Reader` for one context. Makes no request until asked; safe to use from several threads.

    Nothing in it writes: what changes a cluster is KubernetesCluster's alone.
    """

    def __init__(self, endpoint: Endpoint, identity: Identity | None = None) -> None:
        self.context = endpoint.context
        self.server = without_userinfo(endpoint.server)
        self.time_scale = endpoint.time_scale
        self._endpoint = endpoint
        self._identity = identity or Identity(endpoint)
        self._lock = threading.Lock()
        self._client: DynamicClient | None = None
        self._tls: ssl.SSLContext | None = None
        self._proxy = ""

    def whoami(self) -> str:
        """The user name that the API server sees; "" where it cannot say (before Kubernetes 1.28)."""
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer, _warnings = self._ask("post", path, "selfsubjectreviews", body=body)
        except NotFoundError:
            return ""
        return str(answer.get("status", {}).get("userInfo", {}).get("username", ""))

    def version(self) -> str:
        """The API server's version, e.g. "v1.36.2"."""
        return str(self._ask("get", "/version", "version")[0].get("gitVersion", ""))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object. Raises NotFoundError, ForbiddenError, UnreachableError."""
        return self._ask("get", _path(kind, namespace, name), _named(kind, namespace, name))[0]

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Objects:
        """All objects of a kind in one namespace or (namespace "") in all, fetched in pages of 500."""
        try:
            return lists.objects(self._page_of(kind, namespace), kind, lists.selectors(labels, fields))
        except UnreachableError as error:
            # A group that it does not have is answered by the server's bare web server (kube-apiserver 1.36).
            if "." in kind.group and not kind.group.endswith(".k8s.io") and error.why == "404 page not found":
                what = _("The API server knows no {kind}.").format(kind=kind.kind)
                raise NotFoundError(what, object=kind.plural) from None
            raise

    def table(self, kind: Kind, namespace: str = "", *, labels: str = "", sample: int = 0) -> Rows:
        """All objects of a kind as rows of `kubectl get -o wide`; the first `sample` of them with metadata.

        Of 5,000 pods the rows are 0.7 MB, their metadata 20 MB more, the pods themselves 34 MB (kube-apiserver 1.36).
        """
        ask = self._page_of(kind, namespace, lists.TABLE)
        return lists.rows(ask, lists.selectors(labels), sample=sample)

    def _page_of(self, kind: Kind, namespace: str, accept: str = "") -> lists.Ask:
        path, object = _path(kind, namespace), _named(kind, namespace)
        return lambda query: self._ask("get", path, object, query=query, accept=accept)[0]

    def allowed(self, wanted: Sequence[Access]) -> Verdicts:
        """Access reviews, in the order asked."""
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        verdicts = []
        for access in wanted:
            # For a Namespace its name counts as the namespace too, else namespaced rights are answered false.
            namespace = access.name if access.kind.kind == "Namespace" else access.namespace
            attributes = {
                "verb": access.verb,
                "group": access.kind.group,
                "resource": access.kind.plural,
                "subresource": access.subresource,
                "namespace": namespace,
                "name": access.name,
            }
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
            }
            answer, _warnings = self._ask("post", path, "selfsubjectaccessreviews", body=body)
            verdicts.append(bool(answer.get("status", {}).get("allowed")))
        return verdicts

    def rules(self, namespace: str) -> Object:
        """What one may do in a namespace, in one request; `incomplete` where not every authorizer can tell."""
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        spec = {"namespace": namespace}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": spec}
        answer, _warnings = self._ask("post", path, "selfsubjectrulesreviews", body=body)
        status: Object = answer.get("status") or {}
        return status

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 40,
    ) -> ExecResult:
        """Run a command in a container. A command that exits with a status is no error here."""
        if self._endpoint.impersonate:
            raise RefusedError(
                _("Commands in containers are not run while impersonating another user."),
                object=_("context {context}").format(context=self.context),
                remedy=_("Use a context without `as:` for the checks that look into pods."),
            )
        target = f"pods/exec {namespace}/{pod}"
        for last in (False, True):
            _client, credential = self._connect()
            try:
                return exec_stream.run(
                    self._endpoint.server,
                    f"{_path(POD, namespace, pod)}/exec",
                    argv,
                    stdin=stdin,
                    container=container,
                    headers=self._identity.headers(credential),
                    tls=self._identity.tls(credential),
                    tls_server_name=self._endpoint.tls_server_name,
                    proxy=self._proxy,
                    object=target,
                    timeout_s=timeout_s,
                )
            except CredentialsRefusedError:
                if last or not self._identity.renew(credential):
                    raise
        raise AssertionError

    def log(self, namespace: str, pod: str, container: str, *, lines: int, previous: bool = False) -> str:
        """The last lines of a container's log. Raises WizardError where it cannot be read."""
        query = [("container", container), ("tailLines", str(lines)), ("previous", _flag(previous))]
        response = self._send(
            "get", f"{_path(POD, namespace, pod)}/log", f"pods/log {namespace}/{pod}", query=query, whole=True
        )
        return response.data.decode(errors="replace")

    def watch(self, kind: Kind, namespace: str, name: str, resource_version: str, *, seconds: int) -> WatchStream:
        """The changes of one object after `resource_version`, for at most `seconds`."""
        query = [
            ("watch", "true"),
            ("fieldSelector", f"metadata.name={name}"),
            ("resourceVersion", resource_version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(seconds)),
        ]
        response = self._send(
            "get",
            _path(kind, namespace),
            _named(kind, namespace, name),
            query=query,
            timeout_s=(_TIMEOUT_S[0], _WATCH_SILENCE_S),
        )
        return WatchStream(response)

    def _ask(
        self,
        method: str,
        path: str,
        object: str,
        *,
        body: Object | None = None,
        query: Sequence[tuple[str, str]] = (),
        content_type: str = "application/json",
        writing: bool = False,
        accept: str = "",
    ) -> tuple[Object, tuple[str, ...]]:
        """One request with its whole JSON answer, and the warnings in the answer's headers."""
        response = self._send(
            method,
            path,
            object,
            body=body,
            query=query,
            content_type=content_type,
            writing=writing,
            whole=True,
            accept=accept,
        )
        try:
            answer = json.loads(response.data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            what = _("What answers at this address is not a Kubernetes API server (HTTP {status}).")
            raise UnreachableError(what.format(status=response.status), object=self.server)
        return answer, _warnings(response.headers.getlist("Warning"))

    def _send(
        self,
        method: str,
        path: str,
        object: str,
        *,
        body: Object | None = None,
        query: Sequence[tuple[str, str]] = (),
        content_type: str = "application/json",
        writing: bool = False,
        whole: bool = False,
        accept: str = "",
        timeout_s: tuple[float, float] | None = None,
    ) -> urllib3.HTTPResponse:
        """Send one request; a read whose kept-alive connection had died, or whose credential had expired, once more."""
        for last in (False, True):
            client, credential = self._connect()
            try:
                response: urllib3.HTTPResponse = client.request(
                    method,
                    path,
                    body=body,
                    query_params=list(query),
                    header_params={"Accept": accept or "application/json, */*"},
                    content_type=content_type,
                    serialize=False,
                    _request_timeout=timeout_s or _TIMEOUT_S,
                )
                if whole:
                    _body = response.data  # reads it here, where a broken connection is told
                return response
            except ApiException as error:
                if error.status == 401 and not last and self._identity.renew(credential):
                    continue
                refusal = status_error(error.status, error.body, object=object, server=self.server)
                if error.status == 401 and (out_of_date := validity_problem(credential.cert)):
                    refusal.why = out_of_date
                raise refusal from None
            except urllib3.exceptions.HTTPError as error:
                reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
                if isinstance(reason, urllib3.exceptions.ProtocolError) and not writing and not last:
                    continue
                target = object if writing else ""
                raise connection_error(error, self.server, without_userinfo(self._proxy), writing=target) from None
        raise AssertionError

    def _connect(self) -> tuple[DynamicClient, Credential]:
        """The client, made anew where the TLS context changed, and the credential that it now carries."""
        credential = self._identity.credential()
        tls = self._identity.tls(credential)
        with self._lock:
            if self._client is None or self._tls is not tls:
                self._client, self._tls = self._make(tls), tls
            self._client.client.rest_client.identity = self._identity.headers(credential)
            return self._client, credential

    def _make(self, tls: ssl.SSLContext | None) -> DynamicClient:
        endpoint = self._endpoint
        configuration = Configuration(host=endpoint.server)
        configuration.verify_ssl = not endpoint.insecure
        configuration.tls_server_name = endpoint.tls_server_name or None
        configuration.retries = _Retry(
            total=2,
            connect=2,
            read=0,
            other=0,
            status=2,
            backoff_factor=0.3,
            status_forcelist=[429, 503],
            respect_retry_after_header=True,
            raise_on_status=False,
        )
        if endpoint.proxy:
            configuration.proxy = endpoint.proxy
        bypassed = should_bypass_proxies(endpoint.server, configuration.no_proxy or "")
        self._proxy = "" if bypassed else configuration.proxy or ""
        if self._proxy.startswith("socks"):
            raise UsageError(_("The proxy of the environment is a SOCKS proxy, which the wizard cannot use."))
        if (login := urlsplit(self._proxy)).username:  # neither urllib3 nor the client sends it by itself
            secret = f"{unquote(login.username or '')}:{unquote(login.password or '')}"
            configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=secret)
        if endpoint.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # they would be painted over the screen
        client = ApiClient(configuration)
        client.rest_client = _Rest(configuration, tls)
        client.user_agent = _USER_AGENT
        return DynamicClient(client, discoverer=_no_discovery)  # type: ignore[no-untyped-call]


class KubernetesCluster(KubernetesReader):
    """`tui.core.ports.Cluster` for one context: what the reader has, and the writing methods."""

    def reader(self) -> KubernetesReader:
        """The same cluster without the writing methods: its own connection, the same credential."""
        return KubernetesReader(self._endpoint, self._identity)

    def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Object,
        *,
        manager: str,
        dry_run: bool,
        force: bool = False,
    ) -> Applied:
        """Server-side apply of a partial object.

        `metadata.uid` and `metadata.resourceVersion` in the body hold it to the object that was reviewed.
        Raises ConflictError (fields of others), StaleError, ForbiddenError, WizardError (invalid), and
        DeadlineError where no answer came: then the outcome is unknown, and the caller has to look.
        """
        metadata = {
            "name": name,
            **({"namespace": namespace} if kind.namespaced else {}),
            **body.get("metadata", {}),
        }
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": metadata}
        return self._patch(
            kind,
            namespace,
            name,
            whole,
            "application/apply-patch+yaml",
            manager,
            dry_run,
            [("force", _flag(force))],
        )

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, manager: str, dry_run: bool) -> Applied:
        """Strategic merge patch under the name of `manager`; errors as of apply."""
        content_type = "application/strategic-merge-patch+json"
        return self._patch(kind, namespace, name, body, content_type, manager, dry_run, [])

    def _patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Object,
        content_type: str,
        manager: str,
        dry_run: bool,
        query: Query,
    ) -> Applied:
        query = [("fieldManager", manager), ("fieldValidation", "Strict"), *query]
        query += [("dryRun", "All")] if dry_run else []
        answer, warnings = self._ask(
            "patch",
            _path(kind, namespace, name),
            _named(kind, namespace, name),
            body=body,
            query=query,
            content_type=content_type,
            writing=not dry_run,
        )
        return Applied(answer, warnings)

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        """Delete the object if it still has this uid, and this version. Raises StaleError where not, NotFoundError."""
        held = {"uid": uid, **({"resourceVersion": version} if version else {})}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": held}
        self._ask("delete", _path(kind, namespace, name), _named(kind, namespace, name), body=body, writing=True)

    def wait_rollout(
        self,
        namespace: str,
        name: str,
        generation: int,
        *,
        deadline_s: float,
        progress: Callable[[Rollout], None],
        cancelled: Callable[[], bool],
        replaced: Mapping[str, str] | None = None,
    ) -> Rollout:
        """Follow the DaemonSet until `generation` is out, on all nodes or on some: see `tui.backend.rollout`."""
        return rollout.wait(
            self,
            namespace,
            name,
            generation,
            deadline_s=deadline_s,
            progress=progress,
            cancelled=cancelled,
            replaced=replaced,
        )


def _no_discovery(_client: object, _cache: object) -> None:
    return None


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    path = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    if kind.namespaced and namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{kind.plural}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _named(kind: Kind, namespace: str, name: str = "") -> str:
    """An object in a message: "configmaps datakit/datakit-conf"."""
    return f"{kind.plural} " + "/".join(part for part in (namespace if kind.namespaced else "", name) if part)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _warnings(headers: Sequence[str]) -> tuple[str, ...]:
    """The texts of Warning headers: `299 - "text"` (RFC 7234), several in one header too."""
    found = re.findall(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"', ", ".join(headers))
    return tuple(re.sub(r"\\(.)", r"\1", text) for text in found)
