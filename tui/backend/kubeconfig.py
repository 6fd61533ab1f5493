"""The kubeconfig, read by kubectl's own rules and never written.

The official client merges several files the other way round than kubectl, ignores `as:`, and reads
KUBECONFIG when it is imported; so the files are resolved here, into an `Endpoint` a context, and the client
is given only the outcome.
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from tui.backend.exec_credentials import API_VERSIONS, ExecPlugin, cluster_info, needs_terminal
from tui.core.errors import UsageError
from tui.core.ports import Context
from tui.i18n import _

if TYPE_CHECKING:
    from tui.core.ports import Cluster

IN_CLUSTER = "in-cluster"
LAB_EXTENSION = "datakit-wizard/lab"  # of a cluster: {"timeScale": 30}; heeded on loopback alone
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Impersonation:
    """The `as:` fields of a kubeconfig user: whom the API server is asked to take us for."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One context resolved: where the API server is, and how we prove who we are. Secrets are kept out of
    its repr.

    Certificates and keys are PEM text; an empty `ca` stands for the authorities of this machine.
    """

    context: str
    server: str
    cluster: str = ""
    user: str = ""
    namespace: str = "default"
    ca: str = field(default="", repr=False)
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    basic: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    plugin: ExecPlugin | None = None
    impersonate: Impersonation | None = None
    time_scale: float = 1.0


Entry = dict[str, Any]


@dataclass
class _Merged:
    """Several kubeconfig files as one: each entry with the folder of its file, to which its paths are
    relative.
    """

    clusters: dict[str, tuple[Entry, Path]] = field(default_factory=dict)
    users: dict[str, tuple[Entry, Path]] = field(default_factory=dict)
    contexts: dict[str, tuple[Entry, Path]] = field(default_factory=dict)
    current: str = ""


class Kubeconfig:
    """The contexts that kubectl would see: `--kubeconfig`, else $KUBECONFIG, else ~/.kube/config, else
    in-cluster.
    """

    def __init__(
        self, path: str = "", environ: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._path = path
        self._environ = environ
        self._service_account = service_account

    def files(self) -> list[Path]:
        """The files that are looked at, in order of precedence, whether they exist or not."""
        if self._path:
            return [Path(self._path).expanduser()]
        if listed := self._environ.get("KUBECONFIG", ""):
            return [Path(part) for part in dict.fromkeys(listed.split(os.pathsep)) if part]
        return [Path(self._environ.get("HOME") or Path.home()) / ".kube" / "config"]

    def contexts(self) -> list[Context]:
        """Every context, the current one marked, and why it cannot be used where that shows without the
        network.
        """
        merged = self._load()
        if merged is None:
            endpoint = self._in_cluster()
            return [
                Context(
                    IN_CLUSTER, IN_CLUSTER, endpoint.server, endpoint.user, endpoint.namespace, current=True
                )
            ]
        found = []
        for name, (entry, _folder) in merged.contexts.items():
            problem = ""
            try:
                _resolve(merged, name)
            except UsageError as error:
                problem = " ".join(part for part in (error.what, error.why) if part)
            cluster = merged.clusters.get(_text(entry, "cluster"), ({}, Path()))[0]
            found.append(
                Context(
                    name,
                    _text(entry, "cluster"),
                    without_userinfo(_text(cluster, "server")),
                    _text(entry, "user"),
                    _text(entry, "namespace") or "default",
                    current=name == merged.current,
                    problem=problem,
                    time_scale=time_scale(cluster),
                )
            )
        return found

    def resolve(self, context: str) -> Endpoint:
        """The endpoint of one context, or ("") of the current one. Raises UsageError where it cannot be
        used.
        """
        merged = self._load()
        if merged is None:
            if context and context != IN_CLUSTER:
                raise self._missing()
            return self._in_cluster()
        name = context or merged.current
        if name not in merged.contexts:
            what = (
                _("The kubeconfig has no context {name}.").format(name=name)
                if name
                else _("The kubeconfig has no current context.")
            )
            names = ", ".join(merged.contexts)
            raise UsageError(
                what, object=self._where(), remedy=_("Name one with --context: {names}").format(names=names)
            )
        return _resolve(merged, name)

    def connect(self, context: str) -> Cluster:
        """A client for one context; no request is made yet."""
        from tui.backend.cluster import KubernetesCluster

        return KubernetesCluster(self.resolve(context))

    def _load(self) -> _Merged | None:
        """The merged files; None where there are none and we run inside a cluster."""
        merged = _Merged()
        files = [path for path in self.files() if path.exists()]
        if not files:
            if self._path or not self._inside():
                raise self._missing()
            return None
        for path in files:
            _merge(merged, path, _read_yaml(path))
        if not merged.contexts:
            empty = not merged.clusters and not merged.users
            raise UsageError(
                _("The kubeconfig is empty.") if empty else _("The kubeconfig has no contexts."),
                object=self._where(),
                remedy=_(
                    "Ask whoever runs the cluster for a kubeconfig, or name another one with --kubeconfig."
                ),
            )
        return merged

    def _where(self) -> str:
        return os.pathsep.join(str(path) for path in self.files())

    def _missing(self) -> UsageError:
        return UsageError(
            _("The kubeconfig does not exist."),
            object=self._where(),
            remedy=_(
                "Name one with --kubeconfig or KUBECONFIG, or copy it from the cluster to ~/.kube/config."
            ),
        )

    def _inside(self) -> bool:
        return (
            bool(self._environ.get("KUBERNETES_SERVICE_HOST")) and (self._service_account / "token").exists()
        )

    def _in_cluster(self) -> Endpoint:
        host, port = (
            self._environ["KUBERNETES_SERVICE_HOST"],
            self._environ.get("KUBERNETES_SERVICE_PORT", "443"),
        )
        namespace = self._service_account / "namespace"
        return Endpoint(
            context=IN_CLUSTER,
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            cluster=IN_CLUSTER,
            user="serviceaccount",
            namespace=namespace.read_text().strip() if namespace.exists() else "default",
            ca=(self._service_account / "ca.crt").read_text(),
            token_file=str(self._service_account / "token"),
        )


def without_userinfo(url: str) -> str:
    """`url` without the `user:password@` that a server's or a proxy's address may hold."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2] if separator else url


def time_scale(cluster: Entry) -> float:
    """How much faster time runs in a practice lab, as its kubeconfig says; 1 for every server not on
    loopback.
    """
    host = urlsplit(_text(cluster, "server")).hostname or ""
    try:
        if not (host == "localhost" or ip_address(host).is_loopback):
            return 1.0
    except ValueError:
        return 1.0
    for extension in cluster.get("extensions") or []:
        if isinstance(extension, dict) and extension.get("name") == LAB_EXTENSION:
            value = (extension.get("extension") or {}).get("timeScale", 1)
            return float(value) if isinstance(value, int | float) and value > 0 else 1.0
    return 1.0


def _read_yaml(path: Path) -> Entry:
    """One kubeconfig file. An empty one is an empty mapping, as kubectl takes it."""
    try:
        document = yaml.load(
            path.read_text("utf-8-sig"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except OSError as error:
        raise UsageError(
            _("The kubeconfig cannot be read."), object=str(path), why=error.strerror or type(error).__name__
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        # Neither the line's text nor the parser's excerpt is shown: it may hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        why = getattr(error, "problem", None) or _("it is not UTF-8 text")
        raise UsageError(_("The kubeconfig is not YAML."), object=where, why=why) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(
            _("The kubeconfig is not a mapping of clusters, users and contexts."), object=f"{path}:1"
        )
    return document


def _merge(merged: _Merged, path: Path, document: Entry) -> None:
    """Add one file: what an earlier file has said stays (kubectl: the first file to set a value or a name
    wins).
    """
    merged.current = merged.current or _text(document, "current-context")
    for section, key, into in (
        ("clusters", "cluster", merged.clusters),
        ("users", "user", merged.users),
        ("contexts", "context", merged.contexts),
    ):
        listed = document.get(section) or []
        seen: set[str] = set()
        if not isinstance(listed, list):
            raise UsageError(
                _("{section} in the kubeconfig is not a list.").format(section=section), object=str(path)
            )
        for item in listed:
            name = _text(item, "name") if isinstance(item, dict) else ""
            entry = item.get(key) or {} if isinstance(item, dict) else None
            if not name or not isinstance(entry, dict):
                raise UsageError(
                    _("An entry of {section} in the kubeconfig has no name or no {key}.").format(
                        section=section, key=key
                    ),
                    object=str(path),
                )
            if name in seen:
                raise UsageError(
                    _("{section} in the kubeconfig names {name} twice.").format(section=section, name=name),
                    object=str(path),
                )
            seen.add(name)
            into.setdefault(name, (entry, path.parent))


def _resolve(merged: _Merged, name: str) -> Endpoint:
    entry, _folder = merged.contexts[name]
    cluster_name, user_name = _text(entry, "cluster"), _text(entry, "user")

    def refuse(what: str, why: str = "", remedy: str = "") -> UsageError:
        return UsageError(what, object=_("context {context}").format(context=name), why=why, remedy=remedy)

    if cluster_name not in merged.clusters:
        raise refuse(_("The context names an unknown cluster: {name}.").format(name=cluster_name or '""'))
    if user_name not in merged.users:
        raise refuse(_("The context names an unknown user: {name}.").format(name=user_name or '""'))
    cluster, cluster_folder = merged.clusters[cluster_name]
    user, user_folder = merged.users[user_name]
    server = _text(cluster, "server").rstrip("/")
    if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
        raise refuse(_("The server of cluster {name} is not an http or https URL.").format(name=cluster_name))
    if user.get("auth-provider"):
        provider = user["auth-provider"]
        raise refuse(
            _("The user {name} logs in by auth-provider {provider}, which kubectl 1.26 gave up.").format(
                name=user_name, provider=_text(provider, "name") if isinstance(provider, dict) else provider
            ),
            remedy=_(
                "Use an exec credential plugin, e.g. kubelogin for oidc, gke-gcloud-auth-plugin for gcp."
            ),
        )
    ca = _pem(cluster, "certificate-authority", cluster_folder, cluster_name, refuse)
    insecure = cluster.get("insecure-skip-tls-verify") is True
    if ca and insecure:
        raise refuse(
            _("The cluster {name} has a certificate authority and insecure-skip-tls-verify.").format(
                name=cluster_name
            ),
            remedy=_("Keep one of the two."),
        )
    plugin = _plugin(user, user_folder, cluster, server, ca, name, refuse)
    endpoint = Endpoint(
        context=name,
        server=server,
        cluster=cluster_name,
        user=user_name,
        namespace=_text(entry, "namespace") or "default",
        ca=ca,
        insecure=insecure,
        tls_server_name=_text(cluster, "tls-server-name"),
        proxy=_text(cluster, "proxy-url"),
        token=_text(user, "token"),
        token_file=str(user_folder / _text(user, "tokenFile")) if _text(user, "tokenFile") else "",
        basic=f"{_text(user, 'username')}:{_text(user, 'password')}" if _text(user, "username") else "",
        cert=_pem(user, "client-certificate", user_folder, user_name, refuse),
        key=_pem(user, "client-key", user_folder, user_name, refuse),
        plugin=plugin,
        impersonate=_impersonation(user, user_name, refuse),
        time_scale=time_scale(cluster),
    )
    if bool(endpoint.cert) != bool(endpoint.key):
        raise refuse(
            _("The user {name} has a client certificate or a key, but not both.").format(name=user_name)
        )
    if endpoint.proxy.startswith("socks"):
        raise refuse(
            _("The proxy of cluster {name} is a SOCKS proxy, which the wizard cannot use.").format(
                name=cluster_name
            ),
            remedy=_(
                "Use an HTTP proxy, or forward a port with ssh -L and name it as server with tls-server-name."
            ),
        )
    proven = endpoint.token or endpoint.token_file or endpoint.basic or endpoint.cert or endpoint.plugin
    if not proven and server.startswith("https:"):
        # Without this the client would go on as system:anonymous and every answer would be a puzzling 403.
        raise refuse(_("The user {name} has no credentials.").format(name=user_name))
    return endpoint


def _plugin(
    user: Entry, folder: Path, cluster: Entry, server: str, ca: str, context: str, refuse: Any
) -> ExecPlugin | None:
    entry = user.get("exec")
    if not entry or _text(user, "token") or _text(user, "tokenFile"):
        return None
    if not isinstance(entry, dict) or not _text(entry, "command"):
        raise refuse(_("The exec plugin of the user has no command."))
    command = _text(entry, "command")
    if os.sep in command:
        command = str(folder / command)
    pairs = [pair for pair in entry.get("env") or [] if isinstance(pair, dict)]
    plugin = ExecPlugin(
        command=command,
        context=shlex.quote(context),
        args=tuple(str(arg) for arg in entry.get("args") or []),
        env=tuple((_text(pair, "name"), _text(pair, "value")) for pair in pairs),
        api_version=_text(entry, "apiVersion"),
        interactive_mode=_text(entry, "interactiveMode") or "IfAvailable",
        install_hint=_text(entry, "installHint"),
        cluster=cluster_info(server, cluster, ca) if entry.get("provideClusterInfo") is True else None,
    )
    if plugin.api_version not in API_VERSIONS:
        raise refuse(
            _("The credential plugin {name} speaks {version}, which no current kubectl understands.").format(
                name=plugin.name, version=plugin.api_version or '""'
            ),
            remedy=_("Set apiVersion to {version} and update the plugin.").format(version=API_VERSIONS[0]),
        )
    if plugin.interactive_mode == "Always":
        raise needs_terminal(plugin)
    return plugin


def _impersonation(user: Entry, name: str, refuse: Any) -> Impersonation | None:
    groups, extra = user.get("as-groups") or [], user.get("as-user-extra") or {}
    impersonated = Impersonation(
        user=_text(user, "as"),
        uid=_text(user, "as-uid"),
        groups=tuple(str(group) for group in groups),
        extra=tuple((str(key), str(value)) for key, values in extra.items() for value in values),
    )
    if impersonated == Impersonation(""):
        return None
    if not impersonated.user:
        raise refuse(_("The user {name} impersonates groups, but no user (as).").format(name=name))
    return impersonated


def _pem(entry: Entry, key: str, folder: Path, owner: str, refuse: Any) -> str:
    """PEM text of `key`: inline (`key-data`, which wins) or from the file it names, relative to the
    kubeconfig.
    """
    try:
        if data := _text(entry, f"{key}-data"):
            return base64.b64decode("".join(data.split()), validate=True).decode()
        if path := _text(entry, key):
            return (folder / path).read_text()
    except (binascii.Error, UnicodeDecodeError):
        raise refuse(
            _("{key} of {owner} is not base64 of PEM text.").format(key=f"{key}-data", owner=owner)
        ) from None
    except OSError as error:
        raise refuse(
            _("{key} of {owner} cannot be read.").format(key=key, owner=owner),
            why=f"{folder / path}: {error.strerror}",
        ) from None
    return ""


def _text(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return "" if value is None else str(value)
